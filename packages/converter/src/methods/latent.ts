import {
  covariance,
  type MatrixProducts,
  meanOf,
  multiply,
  obliqueBasis,
  secondMoment,
  subtract,
} from "@kvfold/linalg";
import type { Basis, Group, Method } from "./method.js";
import { outputMetric, scoreMetric } from "./metrics.js";
import { spanFor } from "./spans.js";

/**
 * Heads that share a latent, as a multiple of the shrink. More heads keep more and cost more at decode; at four times
 * the shrink, prose-27m at 1/4 still decodes 2.5 times as fast as unfolded (docs/benchmarks.md).
 */
const SPAN_FACTOR = 4;

/** kvfold's own: keys by what their errors do to the layer's output, values by what `W_O` makes of theirs. */
export const latent: Method = {
  name: "latent",
  summary: "shared latents that weigh errors by what they do to the layer's output",
  reference: "docs/method.md",
  taps: ["queries", "keys", "values", "sensitiveQueries", "attentionWeights"],
  lossTaps: ["keys", "values", "gradients"],
  heal: "both",
  spans: ({ kvHeads, shrink }) => {
    const span = spanFor(kvHeads, shrink, SPAN_FACTOR * shrink);
    return { keys: span, values: span };
  },
  basis: (group, products) =>
    group.side === "keys" ? latentKeys(group, products) : latentValues(group, products),
};

/** Softmax ignores a constant added to all scores of a query, so the mean key is free to go. */
function latentKeys(group: Group, products: MatrixProducts): Promise<Basis> {
  return obliqueBasis({
    covariance: covariance(group.moments()),
    metricBlocks: group.lossMetric === undefined ? scoreMetric(group) : [group.lossMetric()],
    rank: group.rank,
    products,
  });
}

/** Attention weights sum to one, so the mean value passes through unharmed and comes back as a bias. */
export async function latentValues(group: Group, products: MatrixProducts): Promise<Basis> {
  const { rank } = group;
  const moments = group.moments();
  const metric = group.lossMetric?.() ?? (await outputMetric(group, products));
  if (!group.outputBias) return obliqueBasis({ covariance: secondMoment(moments), metric, rank, products });
  const basis = await obliqueBasis({ covariance: covariance(moments), metric, rank, products });
  const mean = meanOf(moments);
  return { ...basis, offset: subtract(mean, multiply(multiply(mean, basis.encode), basis.decode)).data };
}
