/**
 * ALiBi slopes of `heads` heads (Press et al. 2022, section 3, and its published code for numbers that are no power of
 * two): a geometric series from `2^(-8/n)`, n the power of two below, then every other term of the series for 2n.
 */
export function alibiSlopes(heads: number): Float32Array {
  const base = 2 ** Math.floor(Math.log2(heads));
  const series = (count: number, exponent: number, step: number) =>
    Array.from({ length: count }, (_, index) => 2 ** (exponent * (1 + step * index)));
  return Float32Array.from([...series(base, -8 / base, 1), ...series(heads - base, -4 / base, 2)]);
}
