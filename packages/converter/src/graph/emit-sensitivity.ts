import type { AttentionWeights } from "@kvfold/decoder";
import {
  type Emitter,
  emitBlockParts,
  emitJoinHeads,
  emitSlice,
  emitSoftCap,
  emitSplitHeads,
  type ProjectionValues,
  type QueryBlock,
  type ScoreParts,
} from "@kvfold/decoder/graph";

/** What a layer's output owes to its scores and values; see `emitSensitivity`. */
export interface SensitivityValues {
  /** `[1, S, H * d]`: queries times the root of their `w`. */
  readonly sensitiveQueries: string;
  /** `w_m`, `[1, H, S, 1]`. */
  readonly queryWeights: string;
  /** `w_mn` of the queries of each block and the keys up to its end, `[1, H, B, T]`. */
  readonly pairWeights: readonly string[];
  /** Attention weights, `[H, columns]` each: a column for each query and each key up to the end of its block of queries. */
  readonly attentionWeights: readonly string[];
}

/** Which queries attend at once, and the bias of their scores. */
export interface ScoreContext {
  readonly scoreBias: string;
  /** Blocks of all queries; one block without it. */
  readonly queryBlocks: readonly QueryBlock[] | undefined;
}

/** What the queries of one block give. */
interface BlockSensitivity {
  /** `[1, H, B, d]`. */
  readonly sensitive: string;
  /** `[1, H, B, 1]`. */
  readonly queryWeights: string;
  /** `[1, H, B, T]`. */
  readonly pairWeights: string;
  /** `[H, B * T]`. */
  readonly attention: string;
}

/**
 * What an error in the cache does to the layer's output, from the attention itself, no gradients needed.
 *
 * A small error `e` of key `n` moves the output of query `m` by `a_mn (v_n - o_m) W_O (q_m . e) / sqrt(d)`, the
 * softmax's derivative. With errors of different keys independent, the expected square is `(q_m . e)^2 w_m` with
 * `w_m = sum_n w_mn` and `w_mn = a_mn^2 |(v_n - o_m) W_O|^2`. The queries times the root of their `w` have the second moment that
 * weighs key errors; the attention weights of the heads side by side have the one that weighs value errors.
 *
 * A soft cap lets through `1 - tanh²(s / cap)` of what an error does to score `s`: the `a_mn` of `w_m` are times that.
 */
export function emitSensitivity(
  e: Emitter,
  { queries, keys, values }: ProjectionValues,
  weights: AttentionWeights,
  { scoreBias, queryBlocks }: ScoreContext,
): SensitivityValues {
  const { heads, headDim } = weights;
  const query = emitSplitHeads(e.at("query"), queries, { heads, size: headDim });
  const key = emitHeadPerQuery(e.at("key"), keys, weights);
  const value = emitHeadPerQuery(e.at("value"), values, weights);
  const gram = emitOutputGram(e.at("metric"), weights);
  const valueNorm = emitDot(e.at("value_norm"), value, e.node("MatMul", "value_gram/MatMul", [value, gram]));
  const parts = { query, key, value, bias: scoreBias };
  const blocks =
    queryBlocks === undefined
      ? [emitBlock(e, parts, { valueNorm, gram }, weights)]
      : queryBlocks.map((block, index) => {
          const part = e.at(`block.${index}`);
          const norms = emitSlice(part.at("value_norm"), valueNorm, 2, 0, block.end);
          return emitBlock(part, emitBlockParts(part, parts, block), { valueNorm: norms, gram }, weights);
        });
  const joined = (name: "sensitive" | "queryWeights") =>
    emitJoined(
      e.at(name),
      blocks.map((block) => block[name]),
    );
  return {
    sensitiveQueries: emitJoinHeads(e.at("sensitive"), joined("sensitive"), heads * headDim),
    queryWeights: joined("queryWeights"),
    pairWeights: blocks.map(({ pairWeights }) => pairWeights),
    attentionWeights: blocks.map(({ attention }) => attention),
  };
}

const emitJoined = (e: Emitter, parts: readonly string[]): string =>
  parts.length === 1 ? parts[0]! : e.node("Concat", "Concat", parts, { attributes: { axis: 2 } });

/** The norms `v G vᵀ [1, H, T, 1]` of the values, and `G = W_O W_Oᵀ [H, d, d]`, which they are in. */
interface OutputMetric {
  readonly valueNorm: string;
  readonly gram: string;
}

function emitBlock(
  e: Emitter,
  parts: ScoreParts,
  metric: OutputMetric,
  weights: AttentionWeights,
): BlockSensitivity {
  const { attention, slopes } = emitAttentionWeights(e, parts, weights);
  const pairWeights = emitPairWeights(e, { attention, slopes, value: parts.value }, metric);
  const queryWeights = emitRowSum(e.at("weight"), pairWeights);
  const root = e.node("Sqrt", "sensitive/Sqrt", [queryWeights]);
  return {
    sensitive: e.node("Mul", "sensitive/Mul", [parts.query, root]),
    queryWeights,
    pairWeights,
    attention: e.reshape("weights/Reshape", attention, [weights.heads, -1]),
  };
}

/** `[1, S, Hkv * d]` to `[1, H, S, d]`, KV heads repeated for the query heads that read them. */
function emitHeadPerQuery(e: Emitter, x: string, { heads, headDim, keys }: AttentionWeights): string {
  const split = emitSplitHeads(e, x, { heads: keys.heads, size: headDim });
  if (keys.heads === heads) return split;
  const readers = Array.from({ length: heads }, (_, head) => Math.floor(head / (heads / keys.heads)));
  return e.node("Gather", "Gather", [split, e.graph.int64(readers)], { attributes: { axis: 1 } });
}

/** What scores become, `[1, H, S, T]` each. */
interface Shares {
  readonly attention: string;
  /** The attention weights times what a soft cap lets through of an error of their score. */
  readonly slopes: string;
}

function emitAttentionWeights(
  e: Emitter,
  { query, key, bias }: ScoreParts,
  { scale, softCap }: AttentionWeights,
): Shares {
  const scaled = e.node("Mul", "scale/Mul", [query, e.scalar(scale)]);
  const keys = e.transpose("scores/Transpose", key, [0, 1, 3, 2]);
  const scores = e.node("MatMul", "scores/MatMul", [scaled, keys]);
  if (softCap === undefined) {
    const attention = emitShares(e, scores, bias);
    return { attention, slopes: attention };
  }
  const capped = emitSoftCap(e.at("scores"), scores, softCap);
  const attention = emitShares(e, capped, bias);
  return { attention, slopes: emitSlopes(e.at("slopes"), attention, capped, softCap) };
}

const emitShares = (e: Emitter, scores: string, bias: string): string =>
  e.node("Softmax", "Softmax", [e.node("Add", "bias/Add", [scores, bias])], { attributes: { axis: -1 } });

/** `a (1 - (s / cap)²)` of capped scores `s`. */
function emitSlopes(e: Emitter, attention: string, capped: string, softCap: number): string {
  const tanh = e.node("Mul", "tanh/Mul", [capped, e.scalar(1 / softCap)]);
  const lost = e.node("Mul", "lost/Mul", [tanh, tanh]);
  return e.node("Mul", "Mul", [attention, e.node("Sub", "Sub", [e.scalar(1), lost])]);
}

/**
 * `w_mn [1, H, B, T]` without a `[B, T, D]` intermediate: with `G = W_O W_Oᵀ` and `t` the slopes,
 * `w = t^2 (v G vᵀ - 2 v G oᵀ + o G oᵀ)`.
 */
function emitPairWeights(
  e: Emitter,
  { attention, slopes, value }: Shares & Pick<ScoreParts, "value">,
  { valueNorm, gram }: OutputMetric,
): string {
  const output = e.node("MatMul", "output/MatMul", [attention, value]);
  const outputGram = e.node("MatMul", "output_gram/MatMul", [output, gram]);
  const turned = e.transpose("value/Transpose", value, [0, 1, 3, 2]);
  const twice = e.node("Mul", "cross/twice/Mul", [outputGram, e.scalar(2)]);
  const cross = e.node("MatMul", "cross/MatMul", [twice, turned]);
  const norms = e.node("Add", "norms/Add", [
    e.transpose("value_norm/Transpose", valueNorm, [0, 1, 3, 2]),
    emitDot(e.at("output_norm"), output, outputGram),
  ]);
  const distance = e.node("Sub", "distance/Sub", [norms, cross]);
  // A square: rounding must not take it below zero.
  const square = e.node("Max", "distance/Max", [distance, e.scalar(0)]);
  const squared = e.node("Mul", "squared/Mul", [slopes, slopes]);
  return e.node("Mul", "weight/Mul", [squared, square]);
}

/** `W_O,h W_O,hᵀ` of each query head, `[H, d, d]`: of constants alone, so ONNX Runtime makes it once for all windows. */
function emitOutputGram(e: Emitter, { heads, headDim, output }: AttentionWeights): string {
  const weight = e.floats("weight", [heads, headDim, output.outputs], output.weight);
  return e.node("MatMul", "MatMul", [weight, e.transpose("Transpose", weight, [0, 2, 1])]);
}

/** The dot product of each row of `a` with that of `b`: the last axis goes to 1. */
const emitDot = (e: Emitter, a: string, b: string): string => emitRowSum(e, e.node("Mul", "Mul", [a, b]));

const emitRowSum = (e: Emitter, x: string): string =>
  e.node("ReduceSum", "ReduceSum", [x, e.graph.int64([-1])], { attributes: { keepdims: 1 } });
