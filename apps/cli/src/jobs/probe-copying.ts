import type { Dtype } from "@kvfold/decoder";
import { type CopyScore, cacheBytesPerToken, copyProbe } from "@kvfold/runtime";
import type { ExecutionProvider } from "@kvfold/runtime-node";
import type { HubSettings } from "../hub/hub-settings.js";
import { findModels } from "../models/find-model.js";
import { type DeviceOptions, floatType, openDevice } from "../models/open-device.js";
import { type OpenedModel, withModels } from "../models/open-model.js";
import { openCopySource, type RepeatedTokens } from "../tokens/copy-source.js";
import type { TokenFile } from "../tokens/read-tokens.js";
import type { JobContext } from "./job.js";
import { deviceOptions, type OptionNames, requireKnown } from "./known-options.js";

export declare namespace probeCopying {
  interface Options extends DeviceOptions {
    /** The first is what the others are compared to. */
    readonly models: readonly string[];
    readonly hub?: HubSettings | undefined;
    /** Text to draw from; the vocabulary without it. */
    readonly files?: readonly TokenFile[];
    /** What is repeated: passages where there is text, or else random tokens. */
    readonly repeat?: RepeatedTokens | undefined;
    readonly distances?: readonly number[] | undefined;
    /** Tokens that are repeated. */
    readonly length?: number | undefined;
    /** Sequences for each distance. */
    readonly sequences?: number | undefined;
    readonly seed?: number | undefined;
    readonly dtype?: Dtype | undefined;
  }
  interface Score extends CopyScore {
    /** Gain over that of the first model: how much of its copying is left. */
    readonly ratio: number;
  }
  interface Probe {
    readonly path: string;
    readonly distances: readonly Score[];
    readonly cacheBytesPerToken: number;
  }
  interface Result {
    /** What ran the models. */
    readonly device: ExecutionProvider;
    readonly repeat: RepeatedTokens;
    readonly models: readonly Probe[];
  }
}

const OPTIONS: OptionNames<probeCopying.Options> = {
  ...deviceOptions,
  models: true,
  hub: true,
  files: true,
  repeat: true,
  distances: true,
  length: true,
  sequences: true,
  seed: true,
  dtype: true,
};

/**
 * Measures how well models copy what they saw further back in their context. Models with the same tokenizer are
 * measured on the same sequences.
 *
 * @throws {CliError} `usage` for passages without text; `unsupported-model` when random tokens are asked for and nothing
 *   states the size of the vocabulary.
 */
export async function probeCopying(
  options: probeCopying.Options,
  context: JobContext,
): Promise<probeCopying.Result> {
  requireKnown("probeCopying", options, OPTIONS);
  const { models, files = [], repeat = files.length > 0 ? "passages" : "tokens", dtype } = options;
  const { device, provider } = await openDevice(options, context, floatType(dtype));
  const probes: Measured[] = [];
  const found = await findModels(models, options.hub, context);
  for (const [index, model] of found.entries()) {
    const label = `${model.name} (${index + 1}/${models.length})`;
    const measure = ([opened]: readonly OpenedModel[]) =>
      probe(opened!, { ...options, files, repeat, label }, context);
    probes.push(await withModels([model], { provider, dtype }, context, measure));
  }
  return { device, repeat, models: probes.map((measured) => compare(measured, probes[0]!)) };
}

interface Measured extends Omit<probeCopying.Probe, "distances"> {
  readonly distances: readonly CopyScore[];
}

interface ProbeOptions extends probeCopying.Options {
  readonly files: readonly TokenFile[];
  readonly repeat: RepeatedTokens;
  readonly label: string;
}

async function probe(
  model: OpenedModel,
  { files, repeat, label, distances, length, sequences, seed }: ProbeOptions,
  { onProgress, signal }: JobContext,
): Promise<Measured> {
  const { path, lm, vocabulary } = model;
  const scores = await copyProbe(lm, {
    source: await openCopySource({ files, repeat, model, signal }),
    distances,
    length,
    sequences,
    seed,
    bosToken: vocabulary.bosToken,
    signal,
    onSequence: (done, total) => onProgress({ label, done, total }),
  });
  return { path, distances: scores, cacheBytesPerToken: cacheBytesPerToken(lm.cacheLayout) };
}

const compare = ({ distances, ...rest }: Measured, first: Measured): probeCopying.Probe => ({
  ...rest,
  distances: distances.map((score, index) => ({
    ...score,
    ratio: score.gain / first.distances[index]!.gain,
  })),
});
