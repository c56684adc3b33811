import type { CacheShape, ModelConfig } from "@kvfold/decoder";
import type { FoldPlan, LayerPlan } from "./fold-plan.js";
import { layerShape } from "./layer-shape.js";
import { cachedNumberBytes, type StoredDtype } from "./stored-dtype.js";

/** The cache shapes of a layer plan, as graphs name them. */
export function cacheShapes({ keys, values }: LayerPlan): {
  readonly keys: CacheShape;
  readonly values: CacheShape;
} {
  return { keys: { heads: keys.heads, size: keys.rank }, values: { heads: values.heads, size: values.rank } };
}

/** Numbers that a layer keeps of each token. */
export const numbersPerToken = ({ keys, values }: LayerPlan): number =>
  keys.heads * keys.rank + values.heads * values.rank;

/** What the plans of all layers make of the KV cache: the share that is left, and bytes per token before and after. */
export function cacheFigures(
  config: ModelConfig,
  layers: readonly LayerPlan[],
  dtype: StoredDtype,
): Pick<FoldPlan, "achieved" | "cacheBytesPerToken"> {
  const bytes = cachedNumberBytes(dtype);
  const sum = (numbers: readonly number[]) => numbers.reduce((total, count) => total + count, 0);
  const whole = sum(layers.map((_, index) => wholeLayer(config, index)));
  const kept = sum(layers.map(numbersPerToken));
  return { achieved: kept / whole, cacheBytesPerToken: { before: bytes * whole, after: bytes * kept } };
}

function wholeLayer(config: ModelConfig, index: number): number {
  const { kvHeads, headDim } = layerShape(config, index);
  return 2 * kvHeads * headDim;
}
