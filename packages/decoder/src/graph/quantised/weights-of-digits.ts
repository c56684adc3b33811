/**
 * The matrix `[count, digits * count]` that joins digits to numbers: its product with the first digits of `count` numbers, then
 * their second ones and so on, sums each number's digits times `values`, what each digit counts.
 */
export function weightsOfDigits(count: number, values: readonly number[]): Float32Array {
  const width = values.length * count;
  const weights = new Float32Array(count * width);
  for (const [digit, value] of values.entries())
    for (let row = 0; row < count; row++) weights[row * width + digit * count + row] = value;
  return weights;
}
