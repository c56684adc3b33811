import {
  createMatrix,
  type Matrix,
  type MatrixProducts,
  obliqueBasis,
  secondMoment,
  sliceMoments,
} from "@kvfold/linalg";
import { latent, latentKeys, latentValues } from "./latent.js";
import type { Basis, Group, Method } from "./method.js";
import { scoreMetric } from "./metrics.js";

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

/**
 * A metric `[d, d]` of keys as keys before the rotation meet it, which is at all distances: averaged over all angles of all
 * pairs. Pairs `(j, j + rotaryDim / 2)` then have one weight for both members, their mean, and nothing is left between pairs,
 * or between them and what does not turn; that keeps its metric.
 */
function atAllAngles({ rows: size, data }: Matrix, rotaryDim: number): Matrix {
  const averaged = createMatrix(size, size);
  const half = rotaryDim / 2;
  for (let j = 0; j < half; j++) {
    const [a, b] = [j, j + half].map((index) => index * size + index);
    averaged.data[a!] = averaged.data[b!] = (data[a!]! + data[b!]!) / 2;
  }
  for (let row = rotaryDim; row < size; row++) {
    const [start, end] = [row * size + rotaryDim, (row + 1) * size];
    averaged.data.set(data.subarray(start, end), start);
  }
  return averaged;
}
