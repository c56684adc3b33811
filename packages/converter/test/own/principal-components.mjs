import { groupSpans } from "@kvfold/converter";
import { covariance, obliqueBasis } from "@kvfold/linalg";

/** A method that is not of this package, as a user writes one. */
export const principalComponents = {
  name: "principal-components",
  summary: "principal components of the cached activations",
  reference: "Pearson 1901",
  taps: ["keys", "values"],
  spans: groupSpans,
  basis: ({ moments, rank }, products) => obliqueBasis({ covariance: covariance(moments()), rank, products }),
};
