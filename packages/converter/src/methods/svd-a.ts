import { type MatrixProducts, obliqueBasis, secondMoment } from "@kvfold/linalg";
import type { Basis, Group, Method } from "./method.js";
import { groupSpans } from "./spans.js";

/** Top right singular vectors of the group's cached activations, uncentred; keys after the rotation. */
export const activationBasis = ({ moments, rank }: Group, products: MatrixProducts): Promise<Basis> =>
  obliqueBasis({ covariance: secondMoment(moments()), rank, products });

/** SVD-a of the paper in any span. */
export const svdA: Method = {
  name: "svd-a",
  summary: "SVD of the cached activations, heads grouped",
  reference: "arXiv 2406.07056, section 3.3",
  taps: ["keys", "values"],
  spans: groupSpans,
  basis: activationBasis,
};
