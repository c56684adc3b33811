import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type Dtype, type FolderSource, type ModelConfig, makeOwnGraphs } from "@kvfold/decoder";
import { directorySource } from "@kvfold/decoder/node";
import { ConverterError } from "../converter-error.js";
import { outputConfig } from "../output/output-config.js";
import { cachePrecisionsOf, planCacheBits } from "../plan/cache-bits.js";
import type { CacheBits, FoldPlan } from "../plan/fold-plan.js";
import { onnxDtypes } from "../plan/stored-dtype.js";
import { readFoldRecord } from "../tune/fold-record.js";
import { storedLayers } from "../tune/open-folded.js";
import { amendRecord } from "./amend-record.js";
import { writeWholeFile } from "./whole-file.js";

export declare namespace addGraphs {
  interface Options {
    /** The config of the checkpoint that was folded. */
    readonly original: ModelConfig;
    /** Quantised caches that are to have graphs. */
    readonly cacheBits?: readonly CacheBits[] | undefined;
  }
}

/**
 * Adds graphs to a folder that a fold wrote: those of quantised caches that are asked for, and those that folds of earlier versions
 * lack. They share the weights that are there, so only graphs are written; `kvfold.json` and the card say so afterwards.
 *
 * @returns The files that were added, as paths in the folder.
 * @throws {ConverterError} `unsupported-model` for a folder that is no fold, has no ONNX graph, or was made of another checkpoint;
 * `invalid-option`, `write-failed`.
 * @throws {DecoderError} `malformed-checkpoint` when files are missing or damaged.
 */
export async function addGraphs(
  folder: string,
  { original, cacheBits = [] }: addGraphs.Options,
): Promise<readonly string[]> {
  const source = await directorySource(folder);
  const { plan, fields } = readFoldRecord(folder, await source.readText("kvfold.json"));
  await requireOriginal(source, plan, original);
  const bits = planCacheBits([...(plan.cacheBits ?? []), ...cacheBits], plan.formats);
  const wanted = { ...plan, ...bits };
  const there = new Set(await readdir(join(folder, "onnx")));
  const added: string[] = [];
  for (const dtype of onnxDtypes(plan.dtypes)) {
    for (const [name, bytes] of await makeGraphs(dtype, { source, plan: wanted, original, there })) {
      const path = `onnx/${name}`;
      await writeWholeFile(join(folder, path), bytes);
      added.push(path);
    }
  }
  if (!isDeepStrictEqual(wanted, plan))
    await amendRecord(folder, { plan: wanted, details: withBits(fields, bits) });
  return added;
}

interface Folded {
  readonly source: FolderSource;
  readonly plan: FoldPlan;
  readonly original: ModelConfig;
  /** File names in `onnx/`. */
  readonly there: ReadonlySet<string>;
}

const makeGraphs = (dtype: Dtype, { source, plan, original, there }: Folded) =>
  makeOwnGraphs({
    folder: source,
    config: original,
    dtype,
    layers: storedLayers(plan, { config: original }),
    maxPositions: plan.maxPositions,
    precisions: cachePrecisionsOf(plan),
    isMissing: (fileName) => !there.has(fileName),
  });

/** A recipe of the record then makes the same graphs. */
const withBits = ({ request }: Readonly<Record<string, unknown>>, bits: Pick<FoldPlan, "cacheBits">) =>
  typeof request === "object" && request !== null ? { request: { ...request, ...bits } } : {};

/** A fold's config is that of its original but for what the fold changes. */
async function requireOriginal(folder: FolderSource, plan: FoldPlan, original: ModelConfig): Promise<void> {
  if (!plan.formats.includes("onnx"))
    throw new ConverterError(
      "unsupported-model",
      `${folder.name} holds no ONNX graphs; fold with format onnx`,
    );
  const found = JSON.parse((await folder.readText("config.json")) ?? "{}") as Record<string, unknown>;
  const expected = outputConfig(original, plan, []);
  const name = "transformers.js_config";
  const same = isDeepStrictEqual({ ...found, [name]: 0 }, { ...roundTrip(expected), [name]: 0 });
  if (same && plan.layers.length === original.blocks.length) return;
  throw new ConverterError(
    "unsupported-model",
    `${folder.name} was not made of the model given as its original (their config.json differ); name the checkpoint that was folded`,
    { option: "original" },
  );
}

const roundTrip = (value: unknown) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
