import { type MatrixProducts, principalBasis } from "@kvfold/linalg";
import type { Basis, Group, Method } from "./method.js";
import { groupSpans } from "./spans.js";

/** Top right singular vectors of the group's stacked projection weights. */
export const weightBasis = ({ weights, rank }: Group, products: MatrixProducts): Promise<Basis> =>
  principalBasis(weights(), rank, { products });

/** SVD of the projection weights, in any span: no data needed. */
export const svdW: Method = {
  name: "svd-w",
  summary: "SVD of the stacked projection weights (no calibration)",
  reference: "arXiv 2406.07056, baseline of table 4",
  taps: [],
  spans: groupSpans,
  basis: weightBasis,
};
