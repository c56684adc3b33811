import type { Method } from "./method.js";
import { groupSpans } from "./spans.js";
import { activationBasis } from "./svd-a.js";

/** The paper as it stands: SVD-a, with one basis for a whole layer's keys where they are rotated. */
export const paper: Method = {
  name: "paper",
  summary: "SVD-a with the paper's spans: RoPE keys share one latent per layer, the rest is grouped",
  reference: "arXiv 2406.07056, sections 3.3 and 3.4",
  taps: ["keys", "values"],
  spans: (layer) => {
    const grouped = groupSpans(layer);
    return layer.rotaryDim > 0 ? { ...grouped, keys: layer.kvHeads } : grouped;
  },
  basis: activationBasis,
};
