import { createMatrix, type Matrix, type MatrixProducts, obliqueBasis } from "@kvfold/linalg";
import { gaussians } from "@kvfold/runtime";
import type { Group, Method } from "./method.js";
import { groupSpans } from "./spans.js";

/** A random orthonormal basis: the floor that a method must clear to be worth anything. */
export const random: Method = {
  name: "random",
  summary: "a random orthonormal basis (seeded)",
  reference: "baseline",
  taps: [],
  draws: true,
  spans: groupSpans,
  basis: async (group, products) =>
    obliqueBasis({ covariance: await randomCovariance(group, products), rank: group.rank, products }),
};

/** Top eigenvectors of a Wishart matrix are uniformly distributed. */
function randomCovariance(
  { span, headDim, seed, layer, index, side }: Group,
  products: MatrixProducts,
): Promise<Matrix> {
  const width = span * headDim;
  const next = gaussians(hash([seed, layer, index, side === "keys" ? 0 : 1]));
  const factor = createMatrix(width, width, Float64Array.from({ length: width * width }, next));
  return products.multiplyTransposed(factor, factor);
}

/** FNV-1a over 32-bit words: different groups draw different numbers. */
const hash = (words: readonly number[]): number =>
  words.reduce((value, word) => Math.imul(value ^ word, 0x01000193) >>> 0, 0x811c9dc5);
