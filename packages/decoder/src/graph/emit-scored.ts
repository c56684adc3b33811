import type { AttentionSpec } from "../model/block-spec.js";
import type { CacheShape } from "../model/decoder-weights.js";
import type { QueryBlock } from "./attention-values.js";
import { emitSlice } from "./emit-slice.js";
import { emitSoftCap } from "./emit-soft-cap.js";
import type { Emitter } from "./emitter.js";
import { emitJoinHeads } from "./split-heads.js";

/**
 * `query [B, H, S, size]`, `key` and `value [B, heads, T, size]`, and the score bias `[.., S, T]`; for blocks of queries, that of
 * the last ones is enough.
 */
export interface ScoreParts {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly bias: string;
}

/** The shape of what is scored; `scale` is that of the unfolded heads, whatever the folded size. */
export interface ScoreShape extends Pick<AttentionSpec, "heads" | "scale" | "softCap"> {
  readonly keys: CacheShape;
  readonly values: CacheShape;
}

/**
 * Scores, softmax and the values they weigh: `[B, S, H * values.size]`. Queries that share a cached head are stacked,
 * `[B, heads, G * S, size]`, so that no cached head is ever repeated. Scores and softmax are float32.
 */
export function emitScored(
  e: Emitter,
  { query, key, value, bias }: ScoreParts,
  { heads, scale, softCap, keys, values }: ScoreShape,
): string {
  const stacked = e.reshape("query/stack/Reshape", query, [0, keys.heads, -1, keys.size]);
  const scaled = e.node("Mul", "scale/Mul", [stacked, e.scalar(scale)]);
  const raw = e.node("MatMul", "scores/MatMul", [scaled, e.transpose("scores/Transpose", key, [0, 1, 3, 2])]);
  const scores = softCap === undefined ? raw : emitSoftCap(e.at("scores"), raw, softCap);
  const shares = emitSoftmax(e.at("softmax"), scores, heads, values.heads, bias);
  return emitUnstack(e.at("output"), e.node("MatMul", "output/MatMul", [shares, value]), heads, values);
}

/** The same a run of queries at a time, each with the keys up to its last query: causal attention needs no others. */
export function emitBlocks(
  e: Emitter,
  parts: ScoreParts,
  shape: ScoreShape,
  blocks: readonly QueryBlock[],
): string {
  const outputs = blocks.map((block, index) => {
    const part = e.at(`block.${index}`);
    return emitScored(part, emitBlockParts(part, parts, block), shape);
  });
  return e.node("Concat", "Concat", outputs, { attributes: { axis: 1 } });
}

/** The parts that a block of queries reads: keys and values up to its last query. */
export function emitBlockParts(
  e: Emitter,
  { query, key, value, bias }: ScoreParts,
  { start, end }: QueryBlock,
): ScoreParts {
  return {
    query: emitSlice(e.at("query"), query, 2, start, end),
    key: emitSlice(e.at("key"), key, 2, 0, end),
    value: emitSlice(e.at("value"), value, 2, 0, end),
    bias: emitLastOf(e.at("bias"), bias, end - start, end),
  };
}

/**
 * The bias of a block, from that of the last queries of the window. It depends on the distance between query and key only,
 * but for numbers that are the same for all keys of a query, which a softmax ignores.
 */
const emitLastOf = (e: Emitter, bias: string, queries: number, keys: number): string =>
  e.node("Slice", "Slice", [
    bias,
    ...[
      [-queries, -keys],
      [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
      [-2, -1],
    ].map((numbers) => e.graph.int64(numbers)),
  ]);

/**
 * Softmax of `scores [B, keys.heads, G * S, T]` or `[B, keys.heads, G, S, T]` plus bias, stacked for the value heads; with
 * `apart` query heads of one value head stay apart, `[B, values.heads, apart, S, T]`.
 */
export function emitSoftmax(
  e: Emitter,
  scores: string,
  heads: number,
  valueHeads: number,
  bias: string,
  apart?: number,
): string {
  // [B, H, S, T]: S follows from the rest, T from the bias's last dimension, so Reshape needs both spelt out.
  const perHead = e.node("Reshape", "split/Reshape", [scores, emitScoreShape(e, scores, heads)]);
  const half = e.floatType === "float16";
  const wide = half ? e.cast("Cast_to_float", perHead, "float32") : perHead;
  const biased = e.node("Add", "Add", [wide, bias]);
  const softmax = e.node("Softmax", "Softmax", [biased], { attributes: { axis: -1 } });
  const narrow = half ? e.cast("Cast_to_half", softmax, "float16") : softmax;
  return e.node("Reshape", "stack/Reshape", [
    narrow,
    emitScoreShape(e.at("stack"), scores, valueHeads, apart),
  ]);
}

/** int64: `[B, heads, rest, T]`, or `[B, heads, apart, rest, T]`, for a value with the size of `scores`. */
export function emitScoreShape(e: Emitter, scores: string, heads: number, apart?: number): string {
  const total = e.node("Shape", "total/Shape", [scores], { attributes: { start: -1 } });
  const outer = apart === undefined ? [0, heads, -1] : [0, heads, apart, -1];
  return e.node("Concat", "shape/Concat", [e.graph.int64(outer), total], {
    attributes: { axis: 0 },
  });
}

/** `[B, values.heads, G * S, size]` or `[B, values.heads, G, S, size]` to `[B, S, H * size]`. */
export function emitUnstack(e: Emitter, outputs: string, heads: number, values: CacheShape): string {
  return emitJoinHeads(
    e,
    e.reshape("unstack/Reshape", outputs, [0, heads, -1, values.size]),
    heads * values.size,
  );
}
