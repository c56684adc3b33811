import type { AttentionWeights, CacheShape } from "../model/decoder-weights.js";
import type { AttentionContext, Projected } from "./attention-values.js";
import { emitExpandedKeys } from "./emit-expanded-keys.js";
import type { Emitter } from "./emitter.js";
import { FLOAT, FLOAT16 } from "./score-bias.js";
import { emitJoinHeads, emitSplitHeads } from "./split-heads.js";
import { storedCache } from "./stored-cache.js";

/**
 * Attention by MatMul and Softmax: any spans for keys and values, any score bias. Queries that share a cached head
 * are stacked, `[B, heads, G * S, size]`, so that no cached head is ever repeated. Scores and softmax are float32. Keys
 * that were cached before the rotation are expanded first; scores are then those of the unfolded heads.
 */
export function emitPlainAttention(
  e: Emitter,
  projected: Projected,
  weights: AttentionWeights,
  { positions, cache }: AttentionContext,
): string {
  const { heads, headDim, keys, values, expanded } = weights;
  const stored = storedCache(weights);
  const cachedKey = emitCached(
    e.at("key"),
    projected.key,
    keys,
    stored.keys,
    cache && [cache.pastKey, cache.presentKey],
  );
  const value = emitCached(
    e.at("value"),
    projected.value,
    values,
    stored.values,
    cache && [cache.pastValue, cache.presentValue],
  );
  const key =
    expanded === undefined
      ? cachedKey
      : emitExpandedKeys(e.at("k_expansion"), cachedKey, weights, expanded, positions);
  const read: CacheShape = expanded === undefined ? keys : { heads: expanded.heads, size: headDim };
  const query = emitStackQueries(e.at("query"), projected.query, heads, read);
  const scaled = e.node("Mul", "scale/Mul", [query, e.scalar(1 / Math.sqrt(headDim))]);
  const scores = e.node("MatMul", "scores/MatMul", [
    scaled,
    e.transpose("scores/Transpose", key, [0, 1, 3, 2]),
  ]);
  const shares = emitSoftmax(e.at("softmax"), scores, heads, values.heads, positions.scoreBias!);
  return emitUnstack(e.at("output"), e.node("MatMul", "output/MatMul", [shares, value]), heads, values);
}

/** Appends new rows to the cache and returns `[B, heads, T, size]`, whatever number of heads the cache is stored as. */
function emitCached(
  e: Emitter,
  rows: string,
  shape: CacheShape,
  stored: CacheShape,
  names: readonly [string, string] | undefined,
): string {
  if (names === undefined) return emitSplitHeads(e, rows, shape);
  const [past, present] = names;
  const fresh = emitSplitHeads(e, rows, stored);
  e.graph.nodeWithOutputs("Concat", [past, fresh], [present], {
    name: `${e.path}/Concat`,
    attributes: { axis: 2 },
  });
  return emitWidenHeads(e, present, shape, stored);
}

/** `[B, stored.heads, T, stored.size]` to `[B, heads, T, size]`: a wide latent is stored as several narrow heads. */
function emitWidenHeads(e: Emitter, cache: string, shape: CacheShape, stored: CacheShape): string {
  if (shape.heads === stored.heads) return cache;
  const parts = stored.heads / shape.heads;
  const byHead = e.reshape("widen/split", cache, [0, shape.heads, parts, -1, stored.size]);
  return e.reshape("widen/join", e.transpose("widen/Transpose", byHead, [0, 1, 3, 2, 4]), [
    0,
    shape.heads,
    -1,
    shape.size,
  ]);
}

/** `[B, S, H * size]` to `[B, keys.heads, G * S, size]`. */
function emitStackQueries(e: Emitter, query: string, heads: number, keys: CacheShape): string {
  const split = emitSplitHeads(e, query, { heads, size: keys.size });
  return e.reshape("stack/Reshape", split, [0, keys.heads, -1, keys.size]);
}

/** Softmax of `scores [B, keys.heads, G * S, T]` plus bias, stacked for the value heads. */
function emitSoftmax(e: Emitter, scores: string, heads: number, valueHeads: number, bias: string): string {
  // [B, H, S, T]: S follows from the rest, T from the bias's last dimension, so Reshape needs both spelt out.
  const perHead = e.node("Reshape", "split/Reshape", [scores, emitScoreShape(e, scores, heads)]);
  const half = e.floatType === "float16";
  const wide = half ? e.node("Cast", "Cast_to_float", [perHead], { attributes: { to: FLOAT } }) : perHead;
  const biased = e.node("Add", "Add", [wide, bias]);
  const softmax = e.node("Softmax", "Softmax", [biased], { attributes: { axis: -1 } });
  const narrow = half ? e.node("Cast", "Cast_to_half", [softmax], { attributes: { to: FLOAT16 } }) : softmax;
  return e.node("Reshape", "stack/Reshape", [narrow, emitScoreShape(e.at("stack"), scores, valueHeads)]);
}

/** int64 `[4]`: `[B, heads, rest, T]` for a value with the size of `scores`. */
function emitScoreShape(e: Emitter, scores: string, heads: number): string {
  const total = e.node("Shape", "total/Shape", [scores], { attributes: { start: 3, end: 4 } });
  return e.node("Concat", "shape/Concat", [e.graph.int64([0, heads, -1]), total], {
    attributes: { axis: 0 },
  });
}

/** `[B, values.heads, G * S, size]` to `[B, S, H * size]`. */
function emitUnstack(e: Emitter, outputs: string, heads: number, values: CacheShape): string {
  return emitJoinHeads(
    e,
    e.reshape("unstack/Reshape", outputs, [0, heads, -1, values.size]),
    heads * values.size,
  );
}
