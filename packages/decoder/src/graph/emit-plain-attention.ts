import type { RopeParameters } from "@kvfold/rope";
import type { AttentionWeights, CacheShape, KeyExpansion } from "../model/decoder-weights.js";
import type { AttentionContext, Projected } from "./attention-values.js";
import { emitExpandedKeys } from "./emit-expanded-keys.js";
import { emitBlocks, emitScored } from "./emit-scored.js";
import type { Emitter } from "./emitter.js";
import type { Positions } from "./positions.js";
import { emitSplitHeads } from "./split-heads.js";
import { storedCache } from "./stored-cache.js";

/**
 * Attention by MatMul and Softmax: any spans for keys and values, any score bias. Keys that were cached before the
 * rotation are expanded first; scores are then those of the unfolded heads.
 */
export function emitPlainAttention(
  e: Emitter,
  projected: Projected,
  weights: AttentionWeights,
  { positions, cache, queryBlocks }: AttentionContext,
): string {
  const { heads, headDim, kvHeads, scale, softCap, keys, values, expanded } = weights;
  const stored = storedCache(weights);
  const cachedKey = emitCached(
    e.at("key"),
    projected.key,
    keys,
    stored.keys,
    cache && [cache.past("key"), cache.present("key")],
  );
  const value = emitCached(
    e.at("value"),
    projected.value,
    values,
    stored.values,
    cache && [cache.past("value"), cache.present("value")],
  );
  const key =
    expanded === undefined
      ? cachedKey
      : emitLateKeys(e.at("k_expansion"), cachedKey, weights, expanded, positions);
  const read: CacheShape = expanded === undefined ? keys : { heads: kvHeads, size: headDim };
  const query = emitSplitHeads(e.at("query"), projected.query, { heads, size: read.size });
  const parts = { query, key, value, bias: positions.scoreBias(weights) };
  const shape = { heads, scale, softCap, keys: read, values };
  return queryBlocks === undefined ? emitScored(e, parts, shape) : emitBlocks(e, parts, shape, queryBlocks);
}

/** Keys `[B, Hkv, T, d]` of latents that were cached before the rotation. */
export function emitLateKeys(
  e: Emitter,
  latents: string,
  weights: AttentionWeights,
  { decode }: KeyExpansion,
  positions: Positions,
): string {
  const { keys, kvHeads, headDim, rope } = weights;
  const { ragged } = positions;
  const rotationOf = (rope: RopeParameters) =>
    ragged === undefined ? positions.relativeRotation(rope, "all") : ragged.keyRotation(rope, kvHeads);
  const width = (kvHeads / keys.heads) * headDim;
  return emitExpandedKeys(e, latents, weights, {
    latent: keys,
    decode: e.floats("decode", [decode.length / (keys.size * width), keys.size, width], decode),
    rotation: rope && rotationOf(rope),
    apart: ragged !== undefined,
  });
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
