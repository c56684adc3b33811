import type { AttentionWeights, KeyExpansion } from "../../model/decoder-weights.js";
import type { AttentionContext, Projected } from "../attention-values.js";
import { emitSplitTokens } from "../emit-delta-attention.js";
import { emitLateKeys } from "../emit-plain-attention.js";
import { emitRaggedShares } from "../emit-ragged-attention.js";
import { emitSoftCap } from "../emit-soft-cap.js";
import type { Emitter } from "../emitter.js";
import { emitChoice } from "../joint/emit-choice.js";
import type { Positions } from "../positions.js";
import { emitJoinHeads, emitSplitHeads } from "../split-heads.js";
import type { CodedRows } from "./coded-rows.js";
import { emitCodedRows } from "./emit-coded-rows.js";
import { emitCodedScores } from "./emit-coded-scores.js";
import { emitCodedShared } from "./emit-coded-shared.js";
import { emitCodedSums } from "./emit-coded-sums.js";
import { emitDecoded, emitDecodedPast } from "./emit-decoded.js";
import { emitRotatedRows } from "./emit-group-rotation.js";

/**
 * `emitRaggedAttention` with a quantised cache. A step of one token computes with codes; several tokens at once have the past
 * as numbers, of one layer at a time.
 */
export function emitQuantisedAttention(
  e: Emitter,
  projected: Projected,
  weights: AttentionWeights,
  { positions, cache, observe }: AttentionContext,
): string {
  const { heads, headDim, keys, values, expanded } = weights;
  const ragged = positions.ragged!;
  const key = emitCodedRows(e.at("key"), projected.key, keys, cache!, "key");
  const value = emitCodedRows(e.at("value"), projected.value, values, cache!, "value");
  const size = expanded === undefined ? keys.size : headDim;
  const query = emitSplitHeads(e.at("query"), projected.query, { heads, size });
  observe?.(e, "queries", query);
  const scores =
    expanded === undefined
      ? emitCachedScores(e, query, key, { weights, positions })
      : emitExpandedScores(e, query, key, { weights, positions, expanded });
  const rows = emitRaggedShares(e, query, scores, { weights, ragged, observe });
  const count = heads / values.heads;
  const sums = emitCodedShared(e.at("output"), rows, value, positions, (at, past) =>
    emitPastSums(at, past, value, { positions, count }),
  );
  const byHead = e.reshape("output/unstack/Reshape", sums, [0, heads, -1, values.size]);
  const back = emitRotatedRows(e.at("output"), byHead, value.shape, { heads, way: "back" });
  return emitJoinHeads(e.at("output"), back, heads * values.size);
}

interface Layer {
  readonly weights: AttentionWeights;
  readonly positions: Positions;
}

interface Scores {
  readonly past: string;
  readonly fresh: string;
}

/** Scores with keys as they are cached, `[B, keys.heads, G * S, X]`. */
function emitCachedScores(e: Emitter, query: string, key: CodedRows, { weights, positions }: Layer): Scores {
  const { heads, keys, softCap } = weights;
  const turned = emitRotatedRows(e.at("query"), query, key.shape, { heads, way: "there" });
  const stacked = emitScaled(e, turned, weights, keys);
  const count = heads / keys.heads;
  const past = emitChoice(e.at("scores/past"), positions.ragged!.isStep(), {
    step: (at) => emitCodedScores(at, stacked, key, count),
    text: (at) => emitProducts(at, stacked, emitDecodedPast(at.at("key"), key)),
    dims: ["batch_size", keys.heads, "queries", "slots"],
  });
  const fresh = emitProducts(e.at("scores/fresh"), stacked, key.fresh);
  const capped = (name: string, scores: string) =>
    softCap === undefined ? scores : emitSoftCap(e.at(`scores/${name}`), scores, softCap);
  return { past: capped("past", past), fresh: capped("fresh", fresh) };
}

/** Scores with keys that are expanded at each use: all of them are numbers first. */
function emitExpandedScores(
  e: Emitter,
  query: string,
  key: CodedRows,
  { weights, positions, expanded }: Layer & { readonly expanded: KeyExpansion },
): Scores {
  const { kvHeads, headDim, keys, softCap } = weights;
  const whole = emitDecoded(e.at("key"), key);
  const rows = emitRotatedRows(e.at("key"), whole, key.shape, { heads: keys.heads, way: "back" });
  const late = emitLateKeys(e.at("k_expansion"), rows, weights, expanded, positions);
  const stacked = emitScaled(e, query, weights, { heads: kvHeads, size: headDim });
  const scores = emitProducts(e.at("scores"), stacked, late);
  const capped = softCap === undefined ? scores : emitSoftCap(e.at("scores"), scores, softCap);
  return emitSplitTokens(e.at("scores/split"), capped, positions);
}

/** Queries that share a head, one after the other, with the factor of scores. */
function emitScaled(
  e: Emitter,
  query: string,
  { scale }: AttentionWeights,
  { heads, size }: AttentionWeights["keys"],
): string {
  const scaled = e.node("Mul", "scale/Mul", [query, e.scalar(scale)]);
  return e.reshape("query/stack/Reshape", scaled, [0, heads, -1, size]);
}

const emitProducts = (e: Emitter, queries: string, rows: string): string =>
  e.node("MatMul", "MatMul", [queries, e.transpose("Transpose", rows, [0, 1, 3, 2])]);

/** Past rows weighed by `shares [B, heads, G * S, P]`. */
function emitPastSums(
  e: Emitter,
  shares: string,
  rows: CodedRows,
  { positions, count }: { readonly positions: Positions; readonly count: number },
): string {
  const { heads, size } = rows.shape;
  return emitChoice(e, positions.ragged!.isStep(), {
    step: (at) => emitCodedSums(at, shares, rows, count),
    text: (at) => at.node("MatMul", "MatMul", [shares, emitDecodedPast(at.at("value"), rows)]),
    dims: ["batch_size", heads, "queries", size],
  });
}
