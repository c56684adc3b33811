/**
 * `product = A u` for the leading `[size, size]` block of a row-major `[n, n]` matrix of which the lower triangle is
 * read. Four rows go together, once over their common columns, so that `u` and `product` are loaded once for four:
 * the whole is bound by reading half of the matrix.
 */
export function multiplySymmetric(
  a: Float64Array,
  n: number,
  size: number,
  u: Float64Array,
  product: Float64Array,
): void {
  product.fill(0, 0, size);
  const whole = size - (size % 4);
  for (let row = 0; row < whole; row += 4) {
    addFourRows(a, n, row, u, product);
    addTriangle(a, n, row, row, row + 4, u, product);
  }
  addTriangle(a, n, whole, 0, size, u, product);
}

/** What columns `[0, row)` of four rows, and their mirror images, add. */
function addFourRows(a: Float64Array, n: number, row: number, u: Float64Array, product: Float64Array): void {
  const row0 = row * n;
  const row1 = row0 + n;
  const row2 = row1 + n;
  const row3 = row2 + n;
  const u0 = u[row]!;
  const u1 = u[row + 1]!;
  const u2 = u[row + 2]!;
  const u3 = u[row + 3]!;
  let dot0 = 0;
  let dot1 = 0;
  let dot2 = 0;
  let dot3 = 0;
  for (let k = 0; k < row; k++) {
    const a0 = a[row0 + k]!;
    const a1 = a[row1 + k]!;
    const a2 = a[row2 + k]!;
    const a3 = a[row3 + k]!;
    const uk = u[k]!;
    dot0 += a0 * uk;
    dot1 += a1 * uk;
    dot2 += a2 * uk;
    dot3 += a3 * uk;
    product[k]! += a0 * u0 + a1 * u1 + a2 * u2 + a3 * u3;
  }
  product[row]! += dot0;
  product[row + 1]! += dot1;
  product[row + 2]! += dot2;
  product[row + 3]! += dot3;
}

/** What rows `[start, end)` and their mirror images add from column `firstCol` to the diagonal. */
function addTriangle(
  a: Float64Array,
  n: number,
  start: number,
  firstCol: number,
  end: number,
  u: Float64Array,
  product: Float64Array,
): void {
  for (let i = start; i < end; i++) {
    let dot = a[i * n + i]! * u[i]!;
    for (let k = firstCol; k < i; k++) {
      dot += a[i * n + k]! * u[k]!;
      product[k]! += a[i * n + k]! * u[i]!;
    }
    product[i]! += dot;
  }
}
