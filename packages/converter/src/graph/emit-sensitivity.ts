import type { AttentionWeights, Linear } from "@kvfold/decoder";
import type { Emitter, ProjectionValues } from "@kvfold/decoder/graph";
import { emitJoinHeads, emitSplitHeads } from "@kvfold/decoder/graph";

/** What a layer's output owes to its scores and values; see `emitSensitivity`. */
export interface SensitivityValues {
  /** `[1, S, H * d]`. */
  readonly sensitiveQueries: string;
  /** `[H, S * T]`. */
  readonly attentionWeights: string;
}

/**
 * What an error in the cache does to the layer's output, from the attention itself, no gradients needed.
 *
 * A small error `e` of key `n` moves the output of query `m` by `a_mn (v_n - o_m) W_O (q_m . e) / sqrt(d)`, the
 * softmax's derivative. With errors of different keys independent, the expected square is `(q_m . e)^2 w_m` with
 * `w_m = sum_n a_mn^2 |(v_n - o_m) W_O|^2`. The queries times the root of their `w` have the second moment that
 * weighs key errors; the attention weights of the heads side by side have the one that weighs value errors.
 */
export function emitSensitivity(
  e: Emitter,
  { queries, keys, values }: ProjectionValues,
  weights: AttentionWeights,
  scoreBias: string,
): SensitivityValues {
  const { heads, headDim } = weights;
  const query = emitSplitHeads(e.at("query"), queries, { heads, size: headDim });
  const key = emitHeadPerQuery(e.at("key"), keys, weights);
  const value = emitHeadPerQuery(e.at("value"), values, weights);
  const attention = emitAttentionWeights(e, query, key, scoreBias, weights.scale);
  const weight = emitQueryWeight(
    e,
    attention,
    value,
    e.floats("output_gram", [heads, headDim, headDim], outputGrams(weights)),
  );
  const scaled = e.node("Mul", "sensitive/Mul", [query, e.node("Sqrt", "sensitive/Sqrt", [weight])]);
  return {
    sensitiveQueries: emitJoinHeads(e.at("sensitive"), scaled, heads * headDim),
    attentionWeights: e.reshape("weights/Reshape", attention, [heads, -1]),
  };
}

/** `[1, S, Hkv * d]` to `[1, H, S, d]`, KV heads repeated for the query heads that read them. */
function emitHeadPerQuery(e: Emitter, x: string, { heads, headDim, keys }: AttentionWeights): string {
  const split = emitSplitHeads(e, x, { heads: keys.heads, size: headDim });
  if (keys.heads === heads) return split;
  const readers = Array.from({ length: heads }, (_, head) => Math.floor(head / (heads / keys.heads)));
  return e.node("Gather", "Gather", [split, e.graph.int64(readers)], { attributes: { axis: 1 } });
}

/** `[1, H, S, T]`. */
function emitAttentionWeights(
  e: Emitter,
  query: string,
  key: string,
  scoreBias: string,
  scale: number,
): string {
  const scaled = e.node("Mul", "scale/Mul", [query, e.scalar(scale)]);
  const scores = e.node("MatMul", "scores/MatMul", [
    scaled,
    e.transpose("scores/Transpose", key, [0, 1, 3, 2]),
  ]);
  return e.node("Softmax", "Softmax", [e.node("Add", "bias/Add", [scores, scoreBias])], {
    attributes: { axis: -1 },
  });
}

/**
 * `w_m [1, H, S, 1]` without a `[S, T, D]` intermediate: with `G = W_O W_Oᵀ`,
 * `w = sum_n a^2 (v G vᵀ) - 2 (sum_n a^2 v) G oᵀ + (sum_n a^2) o G oᵀ`.
 */
function emitQueryWeight(e: Emitter, attention: string, value: string, gram: string): string {
  const squared = e.node("Mul", "squared/Mul", [attention, attention]);
  const output = e.node("MatMul", "output/MatMul", [attention, value]);
  const outputGram = e.node("MatMul", "output_gram/MatMul", [output, gram]);
  const dot = (name: string, a: string, b: string) =>
    emitRowSum(e, `${name}/ReduceSum`, e.node("Mul", `${name}/Mul`, [a, b]));
  const valueNorm = dot("value_norm", value, e.node("MatMul", "value_gram/MatMul", [value, gram]));
  const first = e.node("MatMul", "first/MatMul", [squared, valueNorm]);
  const cross = dot("cross", e.node("MatMul", "squared_values/MatMul", [squared, value]), outputGram);
  const last = e.node("Mul", "last/Mul", [
    emitRowSum(e, "squared/ReduceSum", squared),
    dot("output_norm", output, outputGram),
  ]);
  const twice = e.node("Mul", "cross/twice/Mul", [cross, e.scalar(2)]);
  const weight = e.node("Add", "weight/Add", [e.node("Sub", "weight/Sub", [first, twice]), last]);
  // A sum of squares: rounding must not take it below zero.
  return e.node("Max", "weight/Max", [weight, e.scalar(0)]);
}

const emitRowSum = (e: Emitter, name: string, x: string): string =>
  e.node("ReduceSum", name, [x, e.graph.int64([-1])], { attributes: { keepdims: 1 } });

/** `W_O,h W_O,hᵀ` of each query head, `[H, d, d]`. */
function outputGrams({ heads, headDim, output }: AttentionWeights): Float32Array {
  const grams = new Float32Array(heads * headDim * headDim);
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < headDim; row++) {
      for (let col = 0; col < headDim; col++) {
        grams[(head * headDim + row) * headDim + col] = rowDot(
          output,
          head * headDim + row,
          head * headDim + col,
        );
      }
    }
  }
  return grams;
}

function rowDot({ outputs, weight }: Linear, first: number, second: number): number {
  let sum = 0;
  for (let i = 0; i < outputs; i++) sum += weight[first * outputs + i]! * weight[second * outputs + i]!;
  return sum;
}
