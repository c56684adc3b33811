/**
 * Whole numbers near `shares` that add up to as much of `total` as they can, each at most `most`: rounded down, and
 * what is left goes to the largest remainders (Hamilton's method). Where shares fall, so do the results.
 */
export function roundToTotal(shares: readonly number[], total: number, most: number): readonly number[] {
  // Shares that are whole but for rounding errors stay what they are.
  const rounded = shares.map((share) => Math.min(most, Math.floor(share + 1e-9)));
  let left = total - rounded.reduce((sum, value) => sum + value, 0);
  const remainder = (index: number) => shares[index]! - rounded[index]!;
  const order = shares.map((_, index) => index).sort((a, b) => remainder(b) - remainder(a));
  for (const index of order) {
    if (left <= 0 || rounded[index]! >= most) continue;
    rounded[index]!++;
    left--;
  }
  return rounded;
}
