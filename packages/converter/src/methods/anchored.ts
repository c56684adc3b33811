import {
  createMatrix,
  type Matrix,
  type MatrixProducts,
  type Moments,
  meanOf,
  secondMoment,
} from "@kvfold/linalg";
import { balancedBasis } from "./balanced-basis.js";
import { localKeyMetric } from "./joint-metric.js";
import type { JointBasis, JointGroup, Method, SpanContext } from "./method.js";
import { outputMetric } from "./metrics.js";
import { spanFor } from "./spans.js";

/** Numbers of the keys that share a latent, at most: every query head reads all of a latent, so wide ones decode slowly. */
const MOST_NUMBERS = 512;

/** kvfold's own: one latent for keys and values, whose keys are turned by their offset in a chunk alone. */
export const anchored: Method = {
  name: "anchored",
  summary:
    "one latent for keys and values, equally good at every position; keys are rotated within chunks only",
  reference: "docs/method.md",
  taps: ["queries", "keysAndValues", "queriesAtKeys", "attentionWeights"],
  lossTaps: ["keysAndValues", "gradientsBeforeRope"],
  heal: "both",
  budget: "power",
  spans: (layer) => {
    const span = jointSpan(layer);
    return { keys: span, values: span };
  },
  joint: jointBasis,
  savings: async (group, products) => (await weighedBasis(group, 0, products)).basis.energies,
};

/** All KV heads where their keys have few numbers, else as many as may share a latent. */
const jointSpan = ({ kvHeads, headDim }: Pick<SpanContext, "kvHeads" | "headDim">): number =>
  spanFor(kvHeads, 1, Math.max(1, Math.floor(MOST_NUMBERS / headDim)));

/** The directions of keys and values that cost the layer's output most, both in one unit. */
async function jointBasis(group: JointGroup, products: MatrixProducts): Promise<JointBasis> {
  const { basis, offset } = await weighedBasis(group, group.rank, products);
  return group.mayCentre.includes(true) ? { ...basis, offset } : basis;
}

/** The basis, and the means of the numbers that may do without. */
async function weighedBasis(group: JointGroup, rank: number, products: MatrixProducts) {
  const moments = group.moments();
  const offset = meanOf(moments).data.map((mean, column) => (group.mayCentre[column] ? mean : 0));
  const basis = await balancedBasis({
    covariance: momentAbout(offset, moments),
    ...(await metricOf(group, products)),
    rank,
    products,
  });
  return { basis, offset };
}

/** What errors of keys and values cost. */
async function metricOf(group: JointGroup, products: MatrixProducts) {
  const { lossMetric, headDim, span } = group;
  if (lossMetric === undefined)
    return { metricBlocks: [...localKeyMetric(group), await outputMetric(group, products)] };
  return { metricBlocks: [lossMetric()], unitSizes: Array<number>(2 * span).fill(headDim) };
}

/** `E[(x - c)ᵀ (x - c)]`. */
function momentAbout(c: Float64Array, moments: Moments): Matrix {
  const { rows: width, data } = secondMoment(moments);
  const { data: mean } = meanOf(moments);
  const about = (value: number, at: number) => {
    const [i, j] = [Math.floor(at / width), at % width];
    return value - mean[i]! * c[j]! - c[i]! * mean[j]! + c[i]! * c[j]!;
  };
  return createMatrix(width, width, data.map(about));
}
