/**
 * Sums about a shift, put back about zero in float64. With `n` rows `y`, a shift `c` and another `d` for rows `z`:
 * `Σ y = Σ (y - c) + n c`, and `Σ yᵀz = Σ (y - c)ᵀ(z - d) + cᵀ Σ (z - d) + Σ (y - c)ᵀ d + n cᵀd`.
 * T. Chan, G. Golub and R. LeVeque, "Algorithms for computing the sample variance", Am. Stat. 37(3), 1983.
 */

/** Sums over rows `y - c`: `sum` is `Σ (y - c) [W]`, and `shift` is `c [W]`, zero without it. */
export interface ShiftedSum {
  readonly sum: Float64Array;
  readonly shift: Float32Array | undefined;
}

/** `Σ y [W]` over `count` rows. */
export function unshiftSum({ sum, shift }: ShiftedSum, count: number): Float64Array {
  return shift === undefined ? sum : sum.map((value, index) => value + count * shift[index]!);
}

/**
 * Turns `Σ (y - c)ᵀ(z - d) [W, V]` in place into `Σ yᵀz`, and returns it. A product of rows with themselves stays
 * symmetric to the last bit.
 */
export function unshiftProduct(
  product: Float64Array,
  rows: ShiftedSum,
  columns: ShiftedSum,
  count: number,
): Float64Array {
  if (rows.shift === undefined && columns.shift === undefined) return product;
  const width = columns.sum.length;
  const others = columns.shift ?? new Float32Array(width);
  for (let i = 0; i < rows.sum.length; i++) {
    const [sum, shift] = [rows.sum[i]!, rows.shift?.[i] ?? 0];
    for (let j = 0; j < width; j++)
      product[i * width + j]! += shift * columns.sum[j]! + sum * others[j]! + count * (shift * others[j]!);
  }
  return product;
}
