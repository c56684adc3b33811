import type { LatentStatistics } from "@kvfold/decoder";
import { createMatrix, type Matrix, multiply, slice, toFloat32 } from "@kvfold/linalg";
import type { JointBases } from "./choose-bases.js";

/** Keys that turn so far within a chunk have next to no mean, and a table of more slots is not worth its size. */
const MOST_SLOTS = 256;

/**
 * What quantised caches may know of the latents of a layer. `undefined` where means or energies are not known, or a chunk has more than
 * 256 slots.
 */
export function latentStatistics({ joint, chunks, means }: JointBases): LatentStatistics | undefined {
  const costs = joint.flatMap(({ energies, encode }) => Array.from(energies?.subarray(0, encode.cols) ?? []));
  const known = costs.length === joint.length * joint[0]!.encode.cols;
  const largest = Math.max(1, ...chunks);
  if (means === undefined || !known || largest > MOST_SLOTS) return undefined;
  const turns = largest > 1;
  const rest = joint.map(({ encode }, group) => encoded(means[group]!, encode, turns ? encode.rows / 2 : 0));
  const keys = means.map((row) => row.subarray(0, row.length / 2));
  return {
    keyMeans: turns ? joined(keys) : undefined,
    rest: joined(rest),
    costs: Float32Array.from(costs),
  };
}

/** `[r]`: what the numbers from `first` on add to a latent. */
function encoded(row: Float64Array, encode: Matrix, first: number): Float32Array {
  const part = createMatrix(1, row.length - first, row.slice(first));
  return toFloat32(multiply(part, slice(encode, { rows: [first, encode.rows] })));
}

const joined = (parts: readonly (Float32Array | Float64Array)[]): Float32Array =>
  Float32Array.from(parts.flatMap((part) => Array.from(part)));
