import type { CacheShape } from "@kvfold/decoder";
import { codedBytes } from "@kvfold/decoder/graph";
import type { CachePrecision } from "@kvfold/runtime";
import { ConverterError } from "../converter-error.js";
import { cacheShapes } from "./cache-size.js";
import type { CacheBits, FoldPlan, Format, LayerPlan } from "./fold-plan.js";

/**
 * The quantised caches of a plan; nothing where none is asked for.
 *
 * @throws {ConverterError} `invalid-option` for other bits, and where no ONNX graph is written.
 */
export function planCacheBits(
  given: readonly CacheBits[] = [],
  formats: readonly Format[],
): Pick<FoldPlan, "cacheBits"> {
  if (given.length === 0) return {};
  const other = given.find((bits) => bits !== 8 && bits !== 4);
  if (other !== undefined) throw refusal(`expected 8 or 4, found ${String(other)}`);
  if (!formats.includes("onnx"))
    throw refusal("only ONNX graphs have quantised caches; add format onnx, or leave it out");
  return { cacheBits: [...new Set(given)].sort((a, b) => b - a) };
}

/** Bytes that one token takes in a quantised cache of these layers, scales included. */
export const quantisedBytesPerToken = (
  layers: readonly LayerPlan[],
  precision: CachePrecision,
  isJoint: boolean,
): number =>
  layers
    .flatMap((layer) => partsOf(layer, isJoint))
    .reduce((sum, shape) => sum + codedBytes(shape, precision), 0);

/** Keys and values of a layer, or latents that stand for both. */
function partsOf(layer: LayerPlan, isJoint: boolean): readonly CacheShape[] {
  const { keys, values } = cacheShapes(layer);
  return isJoint ? [{ heads: keys.heads, size: keys.size + values.size }] : [keys, values];
}

/** What a plan's quantised caches are called. */
export const cachePrecisionsOf = ({
  cacheBits = [],
}: Pick<FoldPlan, "cacheBits">): readonly CachePrecision[] => cacheBits.map((bits) => `int${bits}` as const);

const refusal = (problem: string): ConverterError =>
  new ConverterError("invalid-option", `cacheBits: ${problem}`, { option: "cacheBits" });
