/**
 * ALiBi slopes of `heads` heads (Press et al. 2022, section 3, and its published code for numbers that are not a power of
 * two): a geometric series from `2^(-max/n)`, n the power of two below, then every other term of the series for 2n.
 * `max` is 8 in the paper; MPT calls it `alibi_bias_max`.
 */
export function alibiSlopes(heads: number, max = 8): readonly number[] {
  const base = 2 ** Math.floor(Math.log2(heads));
  const series = (count: number, exponent: number, step: number) =>
    Array.from({ length: count }, (_, index) => 2 ** (exponent * (1 + step * index)));
  return [...series(base, -max / base, 1), ...series(heads - base, -max / (2 * base), 2)];
}
