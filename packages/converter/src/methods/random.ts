import { createMatrix, type Matrix, obliqueBasis } from "@kvfold/linalg";
import type { Group, Method } from "./method.js";
import { gaussians } from "./random-numbers.js";
/** A random orthonormal basis: the floor that a method must clear to be worth anything. */
export const random: Method = {
  name: "random",
  summary: "a random orthonormal basis (seeded)",
  reference: "baseline",
  taps: [],
  spans: ({ shrink }) => ({ keys: shrink, values: shrink }),
  basis: (group) => obliqueBasis({ covariance: randomCovariance(group), rank: group.rank }),
};

/** Top eigenvectors of a Wishart matrix are uniformly distributed. */
function randomCovariance({ span, headDim, seed, layer, index, side }: Group): Matrix {
  const width = span * headDim;
  const next = gaussians(hash([seed, layer, index, side === "keys" ? 0 : 1]));
  const factor = Float64Array.from({ length: width * width }, next);
  const data = new Float64Array(width * width);
  for (let row = 0; row < width; row++) {
    for (let col = row; col < width; col++) {
      let dot = 0;
      for (let i = 0; i < width; i++) dot += factor[row * width + i]! * factor[col * width + i]!;
      data[row * width + col] = dot;
      data[col * width + row] = dot;
    }
  }
  return createMatrix(width, width, data);
}

/** FNV-1a over 32-bit words: different groups draw different numbers. */
const hash = (words: readonly number[]): number =>
  words.reduce((value, word) => Math.imul(value ^ word, 0x01000193) >>> 0, 0x811c9dc5);
