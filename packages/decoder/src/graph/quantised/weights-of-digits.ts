/** What puts `count` numbers together that lie as runs of digits: `[count, digits * count]`, the value of each digit. */
export function weightsOfDigits(count: number, values: readonly number[]): Float32Array {
  const width = values.length * count;
  const weights = new Float32Array(count * width);
  for (const [digit, value] of values.entries())
    for (let row = 0; row < count; row++) weights[row * width + digit * count + row] = value;
  return weights;
}
