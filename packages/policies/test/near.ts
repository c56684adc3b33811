/**
 * The largest distance between two lists of numbers, infinite where they differ in length. Rounding moves sums of a few float32
 * weights below 1 by less than 1e-6.
 */
export const distance = (found: ArrayLike<number>, expected: ArrayLike<number>): number =>
  found.length === expected.length
    ? Math.max(0, ...Array.from(found, (value, index) => Math.abs(value - expected[index]!)))
    : Number.POSITIVE_INFINITY;
