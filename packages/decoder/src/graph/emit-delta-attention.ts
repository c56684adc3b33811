import type { AttentionWeights, CacheShape } from "../model/decoder-weights.js";
import type { AttentionContext, CacheNames, CachePart, Projected } from "./attention-values.js";
import { emitLateKeys } from "./emit-plain-attention.js";
import { emitScored, emitSoftmax, emitUnstack } from "./emit-scored.js";
import { emitSoftCap } from "./emit-soft-cap.js";
import type { Emitter } from "./emitter.js";
import type { Positions } from "./positions.js";
import { emitSplitHeads } from "./split-heads.js";

/** The rows of a cache's past `[B, heads, P, size]` and those of the new tokens `[B, heads, S, size]`, or what is made of each. */
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
  const { past, fresh } = emitRowScores(e, query, key, weights);
  const raw = e.node("Concat", "scores/Concat", [past, fresh], { attributes: { axis: -1 } });
  const scores = softCap === undefined ? raw : emitSoftCap(e.at("scores"), raw, softCap);
  const readers = readersApart(heads, values);
  const shares = emitSoftmax(e.at("softmax"), scores, heads, values.heads, bias, readers);
  return emitRowOutputs(e, shares, value, weights, positions);
}

/**
 * Scores of queries `[B, H, S, size]` with past and with new keys, `[B, keys.heads, G * S, X]`, or `[B, keys.heads, G, S, X]` where
 * readers are apart.
 */
export function emitRowScores(
  e: Emitter,
  query: string,
  key: DeltaRows,
  { heads, scale, keys }: Pick<AttentionWeights, "heads" | "scale" | "keys">,
): DeltaRows {
  // Not next to the product: ONNX Runtime would fuse both, and has no kernel for a single row with a factor.
  const scaled = e.node("Mul", "scale/Mul", [query, e.scalar(scale)]);
  const readers = readersApart(heads, keys);
  const outer = readers === undefined ? [0, keys.heads] : [0, keys.heads, readers];
  const stacked = e.reshape("query/stack/Reshape", scaled, [...outer, -1, keys.size]);
  const rows = readers === undefined ? key : emitForReaders(e.at("key"), key);
  const order = readers === undefined ? [0, 1, 3, 2] : [0, 1, 2, 4, 3];
  const score = (name: keyof DeltaRows) => {
    const turned = e.transpose(`scores/${name}/Transpose`, rows[name], order);
    return e.node("MatMul", `scores/${name}/MatMul`, [stacked, turned]);
  };
  return { past: score("past"), fresh: score("fresh") };
}

/** Outputs `[B, S, H * values.size]` of shares that are stacked for the value heads, and for their readers where these are apart. */
export function emitRowOutputs(
  e: Emitter,
  shares: string,
  value: DeltaRows,
  { heads, values }: Pick<AttentionWeights, "heads" | "values">,
  positions: Positions,
): string {
  const rows = readersApart(heads, values) === undefined ? value : emitForReaders(e.at("value"), value);
  return emitUnstack(e.at("output"), emitShared(e.at("output"), shares, rows, positions), heads, values);
}

/**
 * How many query heads read each head of a cache in a product of their own; undefined where they share one. In a step each
 * product of its own has a single row, for which ONNX Runtime reads the cache where it lies; it copies what several rows
 * share. Two reads cost less than a copy, three as much, and four more (docs/benchmarks.md, Attention).
 */
export const readersApart = (heads: number, cached: CacheShape): 2 | undefined =>
  heads === 2 * cached.heads ? 2 : undefined;

/** Rows `[B, heads, 1, .., size]`, which products repeat for each reader. */
function emitForReaders(e: Emitter, rows: DeltaRows): DeltaRows {
  const emit = (name: keyof DeltaRows) =>
    e.node("Unsqueeze", `readers/${name}/Unsqueeze`, [rows[name], e.graph.int64([2])]);
  return { past: emit("past"), fresh: emit("fresh") };
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
    attributes: { axis: -1 },
  });
  return { past: past!, fresh: fresh! };
}
