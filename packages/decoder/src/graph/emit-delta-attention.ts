import type { AttentionWeights, CacheShape } from "../model/decoder-weights.js";
import type { AttentionContext, CacheNames, CachePart, Projected } from "./attention-values.js";
import { emitLateKeys } from "./emit-plain-attention.js";
import { emitScored, emitSoftmax, emitUnstack } from "./emit-scored.js";
import { emitSoftCap } from "./emit-soft-cap.js";
import type { Emitter } from "./emitter.js";
import type { Positions } from "./positions.js";
import { emitSplitHeads } from "./split-heads.js";

/** The rows of a cache's past `[B, heads, P, size]` and those of the new tokens `[B, heads, S, size]`. */
export interface DeltaRows {
  readonly past: string;
  readonly fresh: string;
}

/**
 * Attention to a cache that stays where it is: scores against past and new keys apart, one softmax over both, and the sum
 * of both products with values. Only the new rows are outputs.
 */
export function emitDeltaAttention(
  e: Emitter,
  projected: Projected,
  weights: AttentionWeights,
  { positions, cache }: AttentionContext,
): string {
  const { heads, kvHeads, headDim, scale, softCap, keys, values, expanded } = weights;
  const key = emitDeltaRows(e.at("key"), projected.key, keys, cache!, "key");
  const value = emitDeltaRows(e.at("value"), projected.value, values, cache!, "value");
  const bias = positions.scoreBias(weights);
  if (expanded !== undefined) {
    const cached = emitWhole(e.at("key"), key);
    const read = { heads: kvHeads, size: headDim };
    const parts = {
      query: emitSplitHeads(e.at("query"), projected.query, { heads, size: headDim }),
      key: emitLateKeys(e.at("k_expansion"), cached, weights, expanded, positions),
      value: emitWhole(e.at("value"), value),
      bias,
    };
    return emitScored(e, parts, { heads, scale, softCap, keys: read, values });
  }
  const query = emitSplitHeads(e.at("query"), projected.query, { heads, size: keys.size });
  const stacked = e.reshape("query/stack/Reshape", query, [0, keys.heads, -1, keys.size]);
  const scaled = e.node("Mul", "scale/Mul", [stacked, e.scalar(scale)]);
  const score = (name: "past" | "fresh") => {
    const turned = e.transpose(`scores/${name}/Transpose`, key[name], [0, 1, 3, 2]);
    return e.node("MatMul", `scores/${name}/MatMul`, [scaled, turned]);
  };
  const raw = e.node("Concat", "scores/Concat", [score("past"), score("fresh")], { attributes: { axis: 3 } });
  const scores = softCap === undefined ? raw : emitSoftCap(e.at("scores"), raw, softCap);
  const shares = emitSoftmax(e.at("softmax"), scores, heads, values.heads, bias);
  const outputs = emitShared(e.at("output"), shares, value, positions);
  return emitUnstack(e.at("output"), outputs, heads, values);
}

/** New rows `[B, S, heads * size]` as an output of the graph, beside the past. */
export function emitDeltaRows(
  e: Emitter,
  rows: string,
  { heads, size }: CacheShape,
  cache: CacheNames,
  part: CachePart,
): DeltaRows {
  const split = e.reshape("split/Reshape", rows, [0, 0, heads, size]);
  const [fresh] = e.graph.nodeWithOutputs("Transpose", [split], [cache.present(part)], {
    name: `${e.path}/split/Transpose`,
    attributes: { perm: [0, 2, 1, 3] },
  });
  return { past: cache.past(part), fresh: fresh! };
}

/** Past and new rows in one tensor, for what reads them only after they are expanded. */
export const emitWhole = (e: Emitter, { past, fresh }: DeltaRows): string =>
  e.node("Concat", "whole/Concat", [past, fresh], { attributes: { axis: 2 } });

/** Values weighed by `shares [B, heads, .., P + S]`. */
export function emitShared(
  e: Emitter,
  shares: string,
  { past, fresh }: DeltaRows,
  positions: Positions,
): string {
  const parts = emitSplitTokens(e.at("shares"), shares, positions);
  return e.node("Add", "Add", [
    e.node("MatMul", "past/MatMul", [parts.past, past]),
    e.node("MatMul", "fresh/MatMul", [parts.fresh, fresh]),
  ]);
}

/** What a value `[B, heads, .., P + S]` has for past and for new tokens. */
export function emitSplitTokens(
  e: Emitter,
  value: string,
  positions: Positions,
): { readonly past: string; readonly fresh: string } {
  const names = ["past", "fresh"].map((name) => `${e.path}/${name}`);
  const [past, fresh] = e.graph.nodeWithOutputs("Split", [value, positions.parts!()], names, {
    name: `${e.path}/Split`,
    attributes: { axis: 3 },
  });
  return { past: past!, fresh: fresh! };
}
