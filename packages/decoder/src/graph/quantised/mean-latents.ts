import { ropeFrequencies } from "@kvfold/rope";
import type { AttentionWeights, JointLatent } from "../../model/decoder-weights.js";
import { jointShape } from "../joint/joint-shape.js";

/**
 * The mean latent of the tokens in slots `i`, `i + period`, … for each `i` below the period, `[period, groups * r]`; the period is the
 * largest chunk. `undefined` where nothing is known of the latents.
 */
export function meanLatents(
  attention: AttentionWeights,
  { chunks, encodeKeys, statistics }: JointLatent,
): Float32Array | undefined {
  if (statistics === undefined) return undefined;
  const { keyMeans, rest } = statistics;
  if (keyMeans === undefined || encodeKeys === undefined) return rest;
  const { heads: groups, size: rank } = jointShape(attention);
  const rows = keyMeans.length / groups;
  const period = Math.max(1, ...chunks);
  const means = new Float32Array(period * rest.length);
  for (let slot = 0; slot < period; slot++) {
    const keys = turned(keyMeans, attention, chunks, slot);
    for (let group = 0; group < groups; group++)
      for (let column = 0; column < rank; column++) {
        let sum = rest[group * rank + column]!;
        for (let row = 0; row < rows; row++)
          sum += keys[group * rows + row]! * encodeKeys[(group * rows + row) * rank + column]!;
        means[(slot * groups + group) * rank + column] = sum;
      }
  }
  return means;
}

/** Keys `[Hkv * d]` as they are turned in a slot `slot` after the start of all chunks. */
function turned(
  keys: Float32Array,
  { rope, headDim }: Pick<AttentionWeights, "rope" | "headDim">,
  chunks: readonly number[],
  slot: number,
): Float64Array {
  const row = Float64Array.from(keys);
  if (rope === undefined) return row;
  const { inverseFrequencies } = ropeFrequencies(rope);
  const half = rope.rotaryDim / 2;
  for (let head = 0; head < keys.length; head += headDim)
    for (let pair = 0; pair < half; pair++) {
      const angle = (slot % chunks[pair]!) * inverseFrequencies[pair]!;
      const [a, b] = [keys[head + pair]!, keys[head + half + pair]!];
      row[head + pair] = a * Math.cos(angle) - b * Math.sin(angle);
      row[head + half + pair] = a * Math.sin(angle) + b * Math.cos(angle);
    }
  return row;
}
