/**
 * A baseline: every token scores a uniform number of its own. What a rule is worth is what it does better than this.
 *
 * Numerics: numbers of `random`, rounded to float32.
 *
 * @param count - Scores to make, `heads * T`.
 * @param random - Uniform numbers in `[0, 1)`, such as `createRandom(seed)` of `@kvfold/runtime`.
 * @returns `[count]`; higher stays.
 */
export function randomScores(count: number, random: () => number): Float32Array {
  return Float32Array.from({ length: count }, random);
}
