/**
 * Means over the query heads that share a KV head.
 *
 * @param ofQueryHeads - `[H, n]`.
 * @param kvHeads - `Hkv`, which divides `H`.
 * @param width - `n`.
 * @returns `[Hkv, n]`.
 */
export function groupMeans(
  ofQueryHeads: Float64Array | Float32Array,
  kvHeads: number,
  width: number,
): Float32Array {
  const group = ofQueryHeads.length / (kvHeads * width);
  const means = new Float32Array(kvHeads * width);
  for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
    for (let place = 0; place < width; place++) {
      let sum = 0;
      for (let member = 0; member < group; member++) {
        sum += ofQueryHeads[(kvHead * group + member) * width + place]!;
      }
      means[kvHead * width + place] = sum / group;
    }
  }
  return means;
}
