import type { FloatType } from "@kvfold/converter";
import { type CopyScore, cacheBytesPerToken, copyProbe } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import { type OpenedModel, withModels } from "../models/open-model.js";
import { ordinaryTokens } from "../tokens/text-tokenizer.js";
import type { JobContext } from "./job.js";

export declare namespace probeCopying {
  interface Options {
    readonly models: readonly string[];
    readonly distances?: readonly number[] | undefined;
    /** Sequences for each distance. */
    readonly sequences?: number | undefined;
    readonly seed?: number;
    readonly floatType?: FloatType | undefined;
  }
  interface Probe {
    readonly path: string;
    readonly distances: readonly CopyScore[];
    readonly cacheBytesPerToken: number;
  }
  interface Result {
    readonly models: readonly Probe[];
  }
}

/** Measures how well models copy random tokens from further back in their context, all on the same sequences. */
export async function probeCopying(
  { models, floatType, ...options }: probeCopying.Options,
  context: JobContext,
): Promise<probeCopying.Result> {
  const probes: probeCopying.Probe[] = [];
  for (const [index, path] of models.entries()) {
    const label = `${path} (${index + 1}/${models.length})`;
    probes.push(
      await withModels([path], { floatType }, context, ([model]) => probe(model!, label, options, context)),
    );
  }
  return { models: probes };
}

async function probe(
  { path, folder, lm, vocabulary }: OpenedModel,
  label: string,
  { distances, sequences, seed = 0 }: Pick<probeCopying.Options, "distances" | "sequences" | "seed">,
  { onProgress, signal }: JobContext,
): Promise<probeCopying.Probe> {
  if (!Number.isFinite(vocabulary.vocabSize)) {
    throw new CliError(
      "unsupported-model",
      `${path}: neither the graph nor config.json tells the vocabulary's size`,
    );
  }
  const scores = await copyProbe(lm, {
    vocabulary: await ordinaryTokens(folder, vocabulary.vocabSize),
    seed,
    signal,
    onSequence: (done, total) => onProgress({ label, done, total }),
    ...(distances && { distances }),
    ...(sequences && { sequences }),
  });
  return { path, distances: scores, cacheBytesPerToken: cacheBytesPerToken(lm.cacheLayout) };
}
