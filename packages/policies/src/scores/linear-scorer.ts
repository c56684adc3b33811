import {
  createMatrix,
  fromFloat32,
  type Matrix,
  multiply,
  ridgeSolve,
  transposeMultiply,
} from "@kvfold/linalg";
import { PolicyError } from "../policy-error.js";
import type { AttentionRows } from "./attention-rows.js";

/** A linear map from a layer's input to the scores of its KV heads. */
export interface LinearScorer {
  /** `[D, Hkv]` */
  readonly weights: Matrix;
  /** `[Hkv]` */
  readonly bias: Float64Array;
}

/** Sums over tokens from which a scorer is fitted; those of several texts add. */
export interface ScorerSums {
  /** `[D + 1, D + 1]`: of the hidden states `h`, with a 1 after each, `Σ [h 1]ᵀ [h 1]`. */
  readonly gram: Matrix;
  /** `[D + 1, Hkv]`: `Σ [h 1]ᵀ y` with the targets `y`. */
  readonly cross: Matrix;
}

/**
 * Sums of the hidden states and targets of some tokens.
 *
 * @param hidden - `[n, D]`, what enters the layer's attention.
 * @param targets - `[n, Hkv]`, such as {@link kvzapTargets}, token by token.
 * @param size - `D`.
 * @throws {PolicyError} when there are not as many targets as hidden states, for each head.
 */
export function scorerSums(hidden: Float32Array, targets: Float32Array, size: number): ScorerSums {
  const tokens = hidden.length / size;
  const heads = targets.length / tokens;
  if (!(Number.isInteger(tokens) && tokens > 0 && Number.isInteger(heads) && heads > 0)) {
    throw new PolicyError(
      `scorerSums: expected hidden states of ${size} numbers and as many rows of targets, found ${hidden.length} and ${targets.length} numbers`,
    );
  }
  const inputs = createMatrix(tokens, size + 1, withOnes(hidden, size));
  return {
    gram: transposeMultiply(inputs, inputs),
    cross: transposeMultiply(inputs, fromFloat32(tokens, heads, targets)),
  };
}

function withOnes(hidden: Float32Array, size: number): Float64Array {
  const rows = new Float64Array((hidden.length / size) * (size + 1)).fill(1);
  for (let at = 0; at < hidden.length; at++) rows[at + Math.floor(at / size)] = hidden[at]!;
  return rows;
}

/**
 * Fits a scorer by ridge regression: the weights that predict the targets best, with the penalty `ridge` times the mean square
 * of each input. The bias is free.
 *
 * Source: KVzap-Linear, arXiv 2601.07891, which predicts what KVzip would find by reading the prompt twice.
 *
 * Numerics: `ridgeSolve` of `@kvfold/linalg`, float64. An input that is always zero gets the weight 0.
 *
 * @param sums - {@link scorerSums}; those of several texts are added element by element.
 * @param ridge - Share of each input's energy. Default `1e-3`.
 * @throws {NumericalError} `not-positive-definite` when `ridge` is too small for inputs that depend on each other.
 */
export async function fitLinearScorer({ gram, cross }: ScorerSums, ridge = 1e-3): Promise<LinearScorer> {
  const size = gram.rows - 1;
  const lambda = Float64Array.from({ length: size + 1 }, (_, i) => {
    const energy = gram.data[i * (size + 1) + i]!;
    if (i === size) return 0;
    return energy > 0 ? ridge * energy : 1;
  });
  const { data, cols: heads } = await ridgeSolve({ gram, cross, lambda });
  return {
    weights: createMatrix(size, heads, data.slice(0, size * heads)),
    bias: data.slice(size * heads),
  };
}

/**
 * Scores of tokens by their hidden states.
 *
 * @param hidden - `[T, D]`
 * @returns `[Hkv, T]`; higher stays.
 * @throws {PolicyError} when `hidden` is not rows of `D` numbers.
 */
export function linearScores({ weights, bias }: LinearScorer, hidden: Float32Array): Float32Array {
  const tokens = hidden.length / weights.rows;
  if (!Number.isInteger(tokens)) {
    throw new PolicyError(
      `linearScores: expected hidden states of ${weights.rows} numbers, found ${hidden.length} numbers`,
    );
  }
  const products = multiply(fromFloat32(tokens, weights.rows, hidden), weights).data;
  return Float32Array.from(products, (_, at) => {
    const [head, token] = [Math.floor(at / tokens), at % tokens];
    return products[token * bias.length + head]! + bias[head]!;
  });
}

export declare namespace kvzapTargets {
  interface Options {
    /** Of a text that is repeated: queries of the repetition. */
    readonly attention: AttentionRows;
    /** Tokens of the text itself, the first ones. */
    readonly tokens: number;
    /** `[H, tokens]`: `|v_i W_O|`, what each token's value comes to in the output of each query head. */
    readonly outputNorms: Float32Array;
    /** `[W]`: `|h_j|`, norms of the hidden states of the repetition. */
    readonly hiddenNorms: Float32Array;
  }
}

/** Logarithms of targets are no lower than that of this. */
const LOWEST_TARGET = 1e-9;

/**
 * What KVzap learns to predict for a token `i`: `log max_j a_ji |v_i W_O| / |h_j|` over the queries `j` of a repetition of the
 * text and the query heads of a group, how much it can matter to whoever writes the text again.
 *
 * Source: arXiv 2601.07891 (the score `s⁺` of KVzip+).
 *
 * Numerics: float64, rounded once; no lower than `log 1e-9`. Queries of norm 0 are passed over.
 *
 * @returns `[tokens, Hkv]`, as {@link scorerSums} takes them.
 */
export function kvzapTargets(options: kvzapTargets.Options): Float32Array {
  const { attention, tokens, outputNorms, hiddenNorms } = options;
  const { kvHeads, heads, visit } = attention;
  const peaks = new Float64Array(tokens * kvHeads);
  visit((row, head, query) => {
    const norm = hiddenNorms[query]!;
    if (!(norm > 0)) return;
    const kvHead = Math.floor((head * kvHeads) / heads);
    for (let token = 0; token < tokens; token++) {
      const target = (row[token]! * outputNorms[head * tokens + token]!) / norm;
      const at = token * kvHeads + kvHead;
      if (target > peaks[at]!) peaks[at] = target;
    }
  });
  return Float32Array.from(peaks, (peak) => Math.log(Math.max(peak, LOWEST_TARGET)));
}
