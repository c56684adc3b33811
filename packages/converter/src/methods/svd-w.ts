import { obliqueBasis, transposeMultiply } from "@kvfold/linalg";
import { type Basis, type Group, groupSpans, type Method } from "./method.js";

/** Top right singular vectors of the group's stacked projection weights. */
export function weightBasis({ weights, rank }: Group): Basis {
  const stacked = weights();
  return obliqueBasis({ covariance: transposeMultiply(stacked, stacked), rank });
}

/** SVD of the projection weights, in any span: no data needed. */
export const svdW: Method = {
  name: "svd-w",
  summary: "SVD of the stacked projection weights (no calibration)",
  reference: "arXiv 2406.07056, baseline of table 4",
  taps: [],
  spans: groupSpans,
  basis: weightBasis,
};
