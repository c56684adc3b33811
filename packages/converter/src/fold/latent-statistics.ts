import type { AttentionWeights, LatentStatistics } from "@kvfold/decoder";
import { createMatrix, multiply, toFloat32 } from "@kvfold/linalg";
import { ropeFrequencies } from "@kvfold/rope";
import type { JointBasis } from "../methods/method.js";
import type { JointBases } from "./choose-bases.js";

/** A table of more offsets is not worth its size: keys that turn so far within a chunk have next to no mean. */
const MOST_OFFSETS = 256;

/**
 * What quantised caches may know of the latents of a layer: their means at each offset in a chunk, with the largest chunk as the period,
 * and their energies. `undefined` where means or energies are not known, or a chunk has more than 256 slots.
 */
export function latentStatistics(
  attention: Pick<AttentionWeights, "rope" | "headDim">,
  { joint, chunks, means }: JointBases,
): LatentStatistics | undefined {
  const period = Math.max(1, ...chunks);
  const energies = joint.flatMap(({ energies, encode }) =>
    Array.from(energies?.subarray(0, encode.cols) ?? []),
  );
  const rank = joint[0]!.encode.cols;
  if (means === undefined || period > MOST_OFFSETS || energies.length < joint.length * rank) return undefined;
  const offsets = Array.from({ length: period }, (_, offset) => offset);
  const rows = offsets.flatMap((offset) =>
    joint.map(({ encode }, group) =>
      encoded(turnedMeans(means[group]!, { ...attention, chunks, offset }), encode),
    ),
  );
  const table = new Float32Array(period * joint.length * rank);
  for (const [index, row] of rows.entries()) table.set(row, index * rank);
  return { means: table, costs: Float32Array.from(energies) };
}

const encoded = (row: Float64Array, encode: JointBasis["encode"]): Float32Array =>
  toFloat32(multiply(createMatrix(1, row.length, row), encode));

interface Turn extends Pick<AttentionWeights, "rope" | "headDim"> {
  readonly chunks: readonly number[];
  readonly offset: number;
}

/** Means of the keys and values of a group, with the keys turned as they are in a slot `offset` behind the start of all chunks. */
function turnedMeans(means: Float64Array, { rope, headDim, chunks, offset }: Turn): Float64Array {
  const turned = means.slice();
  if (rope === undefined) return turned;
  const { inverseFrequencies } = ropeFrequencies(rope);
  const half = rope.rotaryDim / 2;
  for (let head = 0; head < means.length / 2; head += headDim)
    for (let pair = 0; pair < half; pair++) {
      const angle = (offset % chunks[pair]!) * inverseFrequencies[pair]!;
      const [a, b] = [means[head + pair]!, means[head + half + pair]!];
      turned[head + pair] = a * Math.cos(angle) - b * Math.sin(angle);
      turned[head + half + pair] = a * Math.sin(angle) + b * Math.cos(angle);
    }
  return turned;
}
