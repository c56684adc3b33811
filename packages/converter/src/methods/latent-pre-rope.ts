import { type Matrix, type MatrixProducts, obliqueBasis, secondMoment, sliceMoments } from "@kvfold/linalg";
import { latent, latentKeys, latentValues } from "./latent.js";
import type { Basis, Group, Method } from "./method.js";
import { atAllAngles, scoreMetric } from "./metrics.js";

/**
 * What keys take of the cache: the best of the shares tried on prose-6m (docs/method.md). Unrotated keys are of so low a
 * rank that values need more than half.
 */
const KEY_SHARE = 5 / 16;

/**
 * `latent` with keys before the rotation: of lower rank than rotated ones, since a rotation spreads a key over the whole
 * plane of each of its pairs. They are expanded and rotated at each use, so a decode step costs more.
 */
export const latentPreRope: Method = {
  name: "latent-pre-rope",
  summary: "latent with keys before RoPE, in less of the cache; they are expanded and rotated at each use",
  reference: "docs/method.md",
  taps: ["queries", "keys", "keysBeforeRope", "values", "sensitiveQueries", "attentionWeights"],
  heal: "both",
  keysBeforeRope: true,
  spans: latent.spans,
  keyShare: ({ rotaryDim }) => (rotaryDim > 0 ? KEY_SHARE : undefined),
  basis: (group, products) => {
    if (group.side === "values") return latentValues(group, products);
    return group.rotaryDim > 0 ? unrotatedKeys(group, products) : latentKeys(group, products);
  },
};

/** The mean key stays in the moment: rotated, it is another one at each position. */
function unrotatedKeys(group: Group, products: MatrixProducts): Promise<Basis> {
  const { index, span, headDim, rank } = group;
  const [start, end] = [index * span * headDim, (index + 1) * span * headDim];
  return obliqueBasis({
    covariance: secondMoment(sliceMoments(group.measured("keysBeforeRope"), start, end)),
    metricBlocks: unrotatedScoreMetric(group),
    rank,
    products,
  });
}

/** The score metric as keys before the rotation meet it, per KV head `[d, d]`. */
export const unrotatedScoreMetric = (group: Group): readonly Matrix[] =>
  scoreMetric(group).map((metric) => atAllAngles(metric, group.rotaryDim));
