import { type Moments, secondMoment, sliceMoments, trace } from "@kvfold/linalg";

/** How much errors of scores of one query head cost. */
export interface HeadSensitivity {
  /** Mean sensitivity of its queries, by their power: `E[w |q|^2] / E[|q|^2]`. */
  readonly mean: number;
  /** `E[w |q|^2]`. */
  readonly total: number;
}

/** What the metric of each query head is multiplied by, so that heads differ less than they were measured to. */
export type Tempering = (heads: readonly HeadSensitivity[]) => readonly number[];

/**
 * The share of a head's mean sensitivity that is left in its metric, as an exponent: the one that did best over all models
 * and sizes; 0.5 is as good at 1/2, 1 at 1/8. At 1 the metric is the derivative's own; below, it allows for errors that the
 * derivative does not see.
 */
const EXPONENT = 0.75;

/** The sensitivities of all query heads of a layer, from moments of its queries with and without their weights. */
export function headSensitivities(
  sensitive: Moments,
  queries: Moments,
  headDim: number,
): readonly HeadSensitivity[] {
  return Array.from({ length: queries.width / headDim }, (_, head) => {
    const [start, end] = [head * headDim, (head + 1) * headDim];
    const powerOf = (moments: Moments) => trace(secondMoment(sliceMoments(moments, start, end)));
    const total = powerOf(sensitive);
    return { total, mean: total > 0 ? total / powerOf(queries) : 0 };
  });
}

/** Each head to its power, in a unit of its own: for metrics that are compared with no others. */
export const temperEach: Tempering = (heads) =>
  heads.map(({ mean }) => (mean > 0 ? mean ** (EXPONENT - 1) : 1));

/** The same with the layer's total left as it was, so that the metric can stand beside others in its unit. */
export const temperWithinLayer: Tempering = (heads) => {
  const factors = temperEach(heads);
  const sum = (weights: readonly number[]) =>
    heads.reduce((all, { total }, head) => all + total * weights[head]!, 0);
  const tempered = sum(factors);
  const back = tempered > 0 ? sum(heads.map(() => 1)) / tempered : 1;
  return factors.map((factor) => factor * back);
};
