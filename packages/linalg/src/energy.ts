import { NumericalError } from "./numerical-error.js";

/**
 * The share of the total energy `Σ values` in the largest `fraction` of directions, for each of `fractions`.
 * `values` are eigenvalues of a second moment (squared singular values), in any order; a fraction of the
 * number of directions is rounded to the nearest whole number of them.
 *
 * Numerics: negative values are rounding errors of a zero and count as zero; no energy at all gives 1.
 *
 * @throws {NumericalError} `not-finite` for NaN or infinity, `invalid-argument` for a fraction outside `[0, 1]`.
 * @example
 * ```ts
 * import { energyShares } from "@kvfold/linalg";
 * energyShares([6, 2, 1, 1], [0.25, 0.5, 1]) // => [0.6, 0.8, 1]
 * ```
 */
export function energyShares(values: ArrayLike<number>, fractions: readonly number[]): number[] {
  const descending = Float64Array.from(values).sort().reverse();
  const invalid = descending.find((value) => !Number.isFinite(value));
  if (invalid !== undefined) {
    throw new NumericalError(
      "not-finite",
      `energyShares: expected finite values, found ${invalid}; look for overflow in the moments`,
    );
  }
  return fractions.map((fraction) => {
    requireFraction(fraction);
    return energyOf(descending, Math.round(fraction * descending.length));
  });
}

/** The share of `Σ max(values, 0)` in the first `count`; 1 when the total is zero. */
export function energyOf(values: Float64Array, count: number): number {
  const sum = (part: Float64Array) => part.reduce((total, value) => total + Math.max(value, 0), 0);
  const total = sum(values);
  return total === 0 ? 1 : sum(values.subarray(0, count)) / total;
}

function requireFraction(fraction: number): void {
  if (fraction >= 0 && fraction <= 1) return;
  throw new NumericalError(
    "invalid-argument",
    `energyShares: expected fractions from 0 to 1, found ${fraction}`,
  );
}
