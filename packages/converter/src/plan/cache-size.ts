import type { CacheShape, ModelShape } from "@kvfold/decoder";
import { type Dtype, dtypes } from "@kvfold/decoder";
import type { FoldPlan, LayerPlan } from "./fold-plan.js";

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

/** Bytes of the KV cache per token over all layers, unfolded and folded. */
export function cacheBytes(
  { kvHeads, headDim }: ModelShape,
  layers: readonly LayerPlan[],
  dtype: Dtype,
): FoldPlan["cacheBytesPerToken"] {
  const bytes = dtypes[dtype].floatType === "float16" ? 2 : 4;
  const kept = layers.reduce((total, layer) => total + numbersPerToken(layer), 0);
  return { before: bytes * layers.length * 2 * kvHeads * headDim, after: bytes * kept };
}
