import type { Method } from "./method.js";
import { weightBasis } from "./svd-w.js";

/**
 * LoRC: `W_K` and `W_V` of a layer, all KV heads stacked, truncated to their top singular vectors; one latent for the
 * layer's keys and one for its values. Its progressive ranks are the budget `lorc-progressive`.
 */
export const lorc: Method = {
  name: "lorc",
  summary: "SVD of a layer's whole W_K and W_V (no calibration); keys expanded and rotated at each use",
  reference: "arXiv 2410.03111",
  taps: [],
  keysBeforeRope: true,
  spans: ({ kvHeads }) => ({ keys: kvHeads, values: kvHeads }),
  basis: weightBasis,
};
