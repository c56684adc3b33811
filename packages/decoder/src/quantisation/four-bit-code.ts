/** The code of zero: a code `q` stands for `(q - 8) * scale`. */
export const ZERO_CODE = 8;
const LARGEST_CODE = 15;

/** The code that comes nearest to `weight`, given `1 / scale`. */
export const nearestCode = (weight: number, inverseScale: number): number =>
  Math.min(Math.max(Math.round(weight * inverseScale) + ZERO_CODE, 0), LARGEST_CODE);
