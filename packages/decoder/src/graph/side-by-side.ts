import type { CacheShape } from "../model/decoder-weights.js";

/** Matrices of the readers of each group next to each other: `[groups * readers, r, size]` to `[groups, r, readers * size]`. */
export function sideBySide(
  matrices: Float32Array,
  { heads: groups, size: rank }: CacheShape,
  readers: number,
  size: number,
): Float32Array {
  const result = new Float32Array(matrices.length);
  for (let head = 0; head < groups * readers; head++) {
    const [group, reader] = [Math.floor(head / readers), head % readers];
    for (let row = 0; row < rank; row++) {
      const from = (head * rank + row) * size;
      result.set(matrices.subarray(from, from + size), ((group * rank + row) * readers + reader) * size);
    }
  }
  return result;
}
