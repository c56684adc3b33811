import { PolicyError } from "../policy-error.js";
import { bestIndices } from "./best-indices.js";

/** Sets of neighbours that become one token each: `[start, end)`, in order, without gaps or overlaps. */
export type MergingSets = readonly (readonly [start: number, end: number])[];

/** `cos(k_t, k_(t+1))` of neighbouring keys of one head, `[T - 1]`; 0 where a key is zero. */
export function neighbourSimilarities(keys: Float32Array, width: number): Float32Array {
  const tokens = keys.length / width;
  const similarities = new Float32Array(Math.max(0, tokens - 1));
  for (let token = 0; token < similarities.length; token++) {
    const [a, b] = [token * width, (token + 1) * width];
    const norms = Math.sqrt(dot(keys, a, a, width) * dot(keys, b, b, width));
    similarities[token] = norms > 0 ? dot(keys, a, b, width) / norms : 0;
  }
  return similarities;
}

export declare namespace mergingSets {
  interface Options {
    /** Of one head: {@link neighbourSimilarities}. */
    readonly similarities: Float32Array;
    /** `[T]`, 1 for tokens that never merge: recent ones, and those of much attention. */
    readonly isProtected: Uint8Array;
    /** Neighbours merge whose similarity is above this. The paper's 0.75 is known from a third party only. */
    readonly threshold: number;
  }
}

/**
 * KVMerger's sets: the longest runs of neighbours, none protected, each of which is more similar to the next than `threshold`.
 * A threshold above 1 merges nothing.
 *
 * Source: Wang et al., "Model Tells You Where to Merge", arXiv 2407.08454.
 *
 * @throws {PolicyError} when there is not one similarity fewer than tokens.
 */
export function mergingSets({ similarities, isProtected, threshold }: mergingSets.Options): MergingSets {
  requireNeighbours(similarities, isProtected);
  return setsOf(similarities, (left) => similarities[left]! > threshold && isFree(isProtected, left));
}

export declare namespace mergingSetsWithin {
  interface Options extends Omit<mergingSets.Options, "threshold"> {
    /** Tokens to leave. */
    readonly count: number;
  }
}

/**
 * The sets that leave `count` tokens: the most similar pairs of neighbours merge first, of equal pairs the earlier. That is
 * the paper's rule at the threshold that meets the budget, met exactly.
 *
 * @returns More than `count` sets where too many tokens are protected to merge as much.
 * @throws {PolicyError} when there is not one similarity fewer than tokens.
 */
export function mergingSetsWithin({
  similarities,
  isProtected,
  count,
}: mergingSetsWithin.Options): MergingSets {
  requireNeighbours(similarities, isProtected);
  const free = similarities.map((similarity, left) =>
    isFree(isProtected, left) ? similarity : Number.NEGATIVE_INFINITY,
  );
  const available = free.filter((similarity) => similarity > Number.NEGATIVE_INFINITY).length;
  const merges = Math.max(0, Math.min(isProtected.length - count, available));
  const chosen = new Uint8Array(similarities.length);
  for (const left of bestIndices(free, merges)) chosen[left] = 1;
  return setsOf(similarities, (left) => chosen[left] === 1);
}

/** Whether a token and the next may merge. */
const isFree = (isProtected: Uint8Array, left: number): boolean =>
  isProtected[left] === 0 && isProtected[left + 1] === 0;

function setsOf(similarities: Float32Array, merges: (left: number) => boolean): MergingSets {
  const sets: [number, number][] = [[0, 1]];
  for (let left = 0; left < similarities.length; left++) {
    if (merges(left)) sets.at(-1)![1]++;
    else sets.push([left + 1, left + 2]);
  }
  return sets;
}

function requireNeighbours(similarities: Float32Array, isProtected: Uint8Array): void {
  if (isProtected.length > 0 && similarities.length === isProtected.length - 1) return;
  throw new PolicyError(
    `mergingSets: expected similarities of the neighbours among ${isProtected.length} tokens, found ${similarities.length}`,
  );
}

export declare namespace mergeSets {
  interface Options {
    /** `[T, d]`, of one head. */
    readonly keys: Float32Array;
    /** `[T, dv]` */
    readonly values: Float32Array;
    /** `[T]`: attention that each token was paid; the token of a set with the most is its pivot, of equals the first. */
    readonly attention: ArrayLike<number>;
    readonly sets: MergingSets;
  }
}

/** What a head's cache becomes. */
export interface MergedRows {
  /** The pivots, ascending: whose places the merged tokens take. */
  readonly kept: Int32Array;
  /** `[kept, d]` */
  readonly keys: Float32Array;
  /** `[kept, dv]` */
  readonly values: Float32Array;
  /** Tokens that each row stands for. */
  readonly sizes: Int32Array;
}

/**
 * Merges each set into its pivot `p`: keys and values become means with the weights `g_i = exp(-|k_p - k_i|² / (2 σ²))`,
 * `g_p = 1`, divided by their sum.
 *
 * Source: KVMerger, arXiv 2407.08454. The paper defines `σ = Σ_i g_i / (sqrt(2) |S|)`, which contains `g`. Here the first `g`
 * has the mean distance of the others to the pivot for its `σ`, and gives the paper's `σ` for the second. The paper's text
 * multiplies merged values by the size of the set, in one of two copies that disagree; this is not done. A caller whose
 * decoder takes biases of scores can add `log(size)` instead, which is exact where the keys of a set are equal.
 *
 * Numerics: float64, rounded once. A set of one token comes out as it was, to the last bit; so do equal rows up to rounding.
 * Where keys lie far apart in units of `σ < 1`, the weight of the others is 0 and the pivot stays as it was.
 */
export function mergeSets({ keys, values, attention, sets }: mergeSets.Options): MergedRows {
  const tokens = sets.at(-1)?.[1] ?? 0;
  const [keyWidth, valueWidth] = [keys.length / tokens, values.length / tokens];
  const merged = {
    kept: Int32Array.from(sets, (set) => pivotOf(attention, set)),
    keys: new Float32Array(sets.length * keyWidth),
    values: new Float32Array(sets.length * valueWidth),
    sizes: Int32Array.from(sets, ([start, end]) => end - start),
  };
  for (const [row, set] of sets.entries()) {
    const weights = gaussianWeights(keys, keyWidth, set, merged.kept[row]!);
    weightedMean(keys, set[0], weights, merged.keys.subarray(row * keyWidth, (row + 1) * keyWidth));
    weightedMean(values, set[0], weights, merged.values.subarray(row * valueWidth, (row + 1) * valueWidth));
  }
  return merged;
}

function pivotOf(attention: ArrayLike<number>, [start, end]: readonly [number, number]): number {
  let pivot = start;
  for (let token = start + 1; token < end; token++) if (attention[token]! > attention[pivot]!) pivot = token;
  return pivot;
}

/** The weights of a set's tokens, with the sum 1. */
function gaussianWeights(
  keys: Float32Array,
  width: number,
  [start, end]: readonly [number, number],
  pivot: number,
): Float64Array {
  if (end - start === 1) return Float64Array.of(1);
  const squares = Float64Array.from({ length: end - start }, (_, index) =>
    squaredDistance(keys, (start + index) * width, pivot * width, width),
  );
  const first = gaussians(squares, meanRoot(squares));
  const weights = gaussians(squares, sumOf(first) / (Math.SQRT2 * squares.length));
  const total = sumOf(weights);
  return weights.map((weight) => weight / total);
}

const gaussians = (squares: Float64Array, sigma: number): Float64Array =>
  squares.map((square) => (square === 0 ? 1 : Math.exp(-square / (2 * sigma * sigma))));

/** The mean distance of the others to the pivot, whose own is 0. */
const meanRoot = (squares: Float64Array): number => sumOf(squares.map(Math.sqrt)) / (squares.length - 1);

const sumOf = (numbers: Float64Array): number => numbers.reduce((sum, value) => sum + value, 0);

/** `target = Σ_i weights_i rows_(first + i)` */
function weightedMean(rows: Float32Array, first: number, weights: Float64Array, target: Float32Array): void {
  for (let j = 0; j < target.length; j++) {
    let sum = 0;
    for (let i = 0; i < weights.length; i++) sum += weights[i]! * rows[(first + i) * target.length + j]!;
    target[j] = sum;
  }
}

function dot(rows: Float32Array, a: number, b: number, width: number): number {
  let sum = 0;
  for (let j = 0; j < width; j++) sum += rows[a + j]! * rows[b + j]!;
  return sum;
}

function squaredDistance(rows: Float32Array, a: number, b: number, width: number): number {
  let sum = 0;
  for (let j = 0; j < width; j++) sum += (rows[a + j]! - rows[b + j]!) ** 2;
  return sum;
}
