import type { AttentionWeights, CacheShape, KeyExpansion } from "../model/decoder-weights.js";
import type { AttentionContext, Projected } from "./attention-values.js";
import {
  type DeltaRows,
  emitDeltaRows,
  emitRowOutputs,
  emitRowScores,
  emitSplitTokens,
  emitWhole,
  readersApart,
} from "./emit-delta-attention.js";
import { emitLateKeys } from "./emit-plain-attention.js";
import { emitScoreShape } from "./emit-scored.js";
import { emitSoftCap } from "./emit-soft-cap.js";
import type { Emitter } from "./emitter.js";
import type { Positions, RaggedPositions } from "./positions.js";
import { emitSplitHeads } from "./split-heads.js";

/** Attention to past and new rows apart, where each head has tokens of its own. */
export function emitRaggedAttention(
  e: Emitter,
  projected: Projected,
  weights: AttentionWeights,
  { positions, cache, observe }: AttentionContext,
): string {
  const { heads, kvHeads, headDim, keys, values, expanded } = weights;
  const ragged = positions.ragged!;
  const key = emitDeltaRows(e.at("key"), projected.key, keys, cache!, "key");
  const value = emitDeltaRows(e.at("value"), projected.value, values, cache!, "value");
  const read: CacheShape = expanded === undefined ? keys : { heads: kvHeads, size: headDim };
  const query = emitSplitHeads(e.at("query"), projected.query, { heads, size: read.size });
  observe?.(e, "queries", query);
  const scores =
    expanded === undefined
      ? emitCapped(e.at("scores"), emitRowScores(e, query, key, weights), weights)
      : emitExpandedScores(e, query, key, { weights, expanded, read, positions });
  const apart = readersApart(heads, values);
  const shares = emitRaggedShares(e, query, scores, { weights, ragged, observe, apart });
  return emitRowOutputs(e, shares, value, weights, positions);
}

function emitCapped(
  e: Emitter,
  scores: DeltaRows,
  { softCap }: Pick<AttentionWeights, "softCap">,
): DeltaRows {
  if (softCap === undefined) return scores;
  const cap = (name: keyof DeltaRows) => emitSoftCap(e.at(name), scores[name], softCap);
  return { past: cap("past"), fresh: cap("fresh") };
}

interface ExpandedScores {
  readonly weights: AttentionWeights;
  readonly expanded: KeyExpansion;
  /** The shape of the expanded keys. */
  readonly read: CacheShape;
  readonly positions: Positions;
}

/** Scores with keys that are expanded as they are read, past and new ones in one product. */
function emitExpandedScores(
  e: Emitter,
  query: string,
  key: DeltaRows,
  { weights, expanded, read, positions }: ExpandedScores,
): DeltaRows {
  const at = e.at("scores");
  const scaled = e.node("Mul", "scale/Mul", [query, e.scalar(weights.scale)]);
  const stacked = e.reshape("query/stack/Reshape", scaled, [0, read.heads, -1, read.size]);
  const whole = emitWhole(e.at("key"), key);
  const keys = emitLateKeys(e.at("k_expansion"), whole, weights, expanded, positions);
  const raw = at.node("MatMul", "MatMul", [stacked, at.transpose("Transpose", keys, [0, 1, 3, 2])]);
  const { softCap } = weights;
  const scores = softCap === undefined ? raw : emitSoftCap(at, raw, softCap);
  return emitSplitTokens(at.at("split"), scores, positions);
}

/**
 * How queries `[B, H, S, size]` share their attention, from their scores with past and new keys `[B, keys.heads, G * S, X]` or
 * `[B, keys.heads, G, S, X]`: `[B, values.heads, G * S, P + S]`, or `[B, values.heads, apart, S, P + S]`.
 */
export function emitRaggedShares(
  e: Emitter,
  query: string,
  scores: DeltaRows,
  {
    weights,
    ragged,
    observe,
    apart,
  }: {
    readonly weights: AttentionWeights;
    readonly ragged: RaggedPositions;
    readonly observe: AttentionContext["observe"];
    readonly apart?: number | undefined;
  },
): string {
  const { heads, values } = weights;
  const biases = ragged.bias(weights);
  const biased = (["past", "fresh"] as const).map((name) =>
    emitBiased(e.at(`scores/${name}`), scores[name], biases[name], { heads, ragged, query }),
  );
  const wide = emitShares(e.at("softmax"), biased, heads);
  observe?.(e, "attention_sums", wide);
  const shares = e.floatType === "float16" ? e.cast("softmax/Cast", wide, "float16") : wide;
  observe?.(e, "attention", shares);
  const shape = emitScoreShape(e.at("softmax/stack"), shares, values.heads, apart);
  return e.node("Reshape", "softmax/stack/Reshape", [shares, shape]);
}

/** Scores `[B, keys.heads, G * S, X]` as float32 `[B, ragged heads, H / ragged heads, S, X]` with their bias. */
function emitBiased(
  e: Emitter,
  scores: string,
  bias: string,
  {
    heads,
    ragged,
    query,
  }: { readonly heads: number; readonly ragged: RaggedPositions; readonly query: string },
): string {
  const count = e.node("Shape", "count/Shape", [query], { attributes: { start: 2, end: 3 } });
  const shape = e.node(
    "Concat",
    "shape/Concat",
    [e.graph.int64([0, ragged.heads, heads / ragged.heads]), count, e.graph.int64([-1])],
    { attributes: { axis: 0 } },
  );
  const split = e.node("Reshape", "split/Reshape", [scores, shape]);
  const wide = e.floatType === "float16" ? e.cast("Cast", split, "float32") : split;
  return e.node("Add", "Add", [wide, bias]);
}

/** One softmax over past and new tokens, float32 `[B, H, S, P + S]`. */
function emitShares(e: Emitter, scores: readonly string[], heads: number): string {
  const all = e.node("Concat", "Concat", scores, { attributes: { axis: 4 } });
  const softmax = e.node("Softmax", "Softmax", [all], { attributes: { axis: -1 } });
  const tail = e.node("Shape", "tail/Shape", [softmax], { attributes: { start: 3, end: 5 } });
  const shape = e.node("Concat", "heads/Concat", [e.graph.int64([0, heads]), tail], {
    attributes: { axis: 0 },
  });
  return e.node("Reshape", "heads/Reshape", [softmax, shape]);
}
