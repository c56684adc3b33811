import {
  add,
  blockDiagonal,
  type Matrix,
  type MatrixProducts,
  obliqueBasis,
  scale,
  secondMoment,
  sliceMoments,
} from "@kvfold/linalg";
import type { Tap } from "../graph/taps.js";
import type { Basis, Group, Method } from "./method.js";

/**
 * Eigen Attention: keys before the rotation in one basis of `d` numbers for all heads of a layer, values head by head.
 * Without rotation keys and queries of a head share a basis. Its search for ranks is the budget `eigen-threshold`.
 */
export const eigenAttention: Method = {
  name: "eigen-attention",
  summary: "one basis for a layer's keys before RoPE, expanded and rotated at each use; values by head",
  reference: "arXiv 2408.05646",
  taps: ["queries", "keysBeforeRope", "values"],
  keysBeforeRope: true,
  spans: () => ({ keys: 1, values: 1 }),
  basis: async (group, products) => (await eigenBases([group], products))[0]!,
  bases: eigenBases,
  spectra: eigenMoments,
};

async function eigenBases(groups: readonly Group[], products: MatrixProducts): Promise<readonly Basis[]> {
  const bases: Basis[] = [];
  for (const [index, covariance] of eigenMoments(groups).entries())
    bases.push(await obliqueBasis({ covariance, rank: groups[index]!.rank, products }));
  return groups.map((_, index) => bases[index] ?? bases[0]!);
}

/**
 * The uncentred second moments `[s * d, s * d]` whose top eigenvectors are the bases of one side of a layer, and whose
 * eigenvalues' roots are the spectrum that the paper's threshold cuts: one for all groups of keys under RoPE, else one
 * for each group.
 */
export function eigenMoments(groups: readonly Group[]): readonly Matrix[] {
  const { side, rotaryDim } = groups[0]!;
  if (side === "values") return groups.map((group) => secondMoment(group.moments()));
  const keys = groups.map(keyMoment);
  // Heads count as more tokens, so their moments add up.
  if (rotaryDim > 0) return [scale(keys.reduce(add), 1 / keys.length)];
  return groups.map((group, index) => add(keys[index]!, queryMoment(group)));
}

const keyMoment = ({ index, span, headDim, measured }: Group): Matrix =>
  slicedMoment(measured, "keysBeforeRope", index * span * headDim, span * headDim);

/** `E[qᵀq]` of each KV head, summed over the query heads that read it: queries stacked under the keys. */
const queryMoment = ({ readers, headDim, measured }: Group): Matrix =>
  blockDiagonal(
    readers.map((heads) =>
      heads.map((head) => slicedMoment(measured, "queries", head * headDim, headDim)).reduce(add),
    ),
  );

const slicedMoment = (measured: Group["measured"], tap: Tap, start: number, width: number): Matrix =>
  secondMoment(sliceMoments(measured(tap), start, start + width));
