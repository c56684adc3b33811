import { identity } from "@kvfold/linalg";
import type { Method } from "./method.js";

/** Keeps every head: the baseline that all ratios refer to. */
export const none: Method = {
  name: "none",
  summary: "keep every head (with keep 1): the model as it is",
  reference: "baseline",
  taps: [],
  standardShape: true,
  spans: () => ({ keys: 1, values: 1 }),
  allowsRank: ({ span, rank }, headDim) => rank === span * headDim,
  basis: async ({ span, headDim }) => ({
    encode: identity(span * headDim),
    decode: identity(span * headDim),
    retained: 1,
  }),
};
