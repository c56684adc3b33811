/** The unscaled inverse frequencies `theta^(-2j / dimension)`, `[count]` (RoFormer, arXiv 2104.09864, eq. 15). */
export function geometricFrequencies(
  theta: number,
  dimension: number,
  count: number = dimension / 2,
): Float64Array {
  return Float64Array.from({ length: count }, (_, index) => theta ** ((-2 * index) / dimension));
}
