import {
  add,
  createMatrix,
  type Matrix,
  type MatrixProducts,
  scale,
  secondMoment,
  sliceMoments,
  stackRows,
  trace,
} from "@kvfold/linalg";
import type { Group } from "./method.js";

/** Exponent of the score metric that did best over all models and sizes; 0.5 is as good at 1/2, 1 at 1/8. */
const SENSITIVITY_EXPONENT = 0.75;

/**
 * What an error in each KV head of a key group costs at the layer's output: per KV head `E[w q qᵀ] [d, d]`, summed over
 * the query heads that read it, with `w` the sensitivity of the query (emit-sensitivity.ts).
 *
 * `exponent` tempers how much heads differ: the weights of a head have the geometric share `w^exponent` of their mean.
 * At 1 the metric is the derivative's own; below, it allows for errors that the derivative does not see.
 */
export function scoreMetric(group: Group, exponent: number = SENSITIVITY_EXPONENT): readonly Matrix[] {
  const { headDim } = group;
  const sensitive = group.measured("sensitiveQueries");
  const queries = group.measured("queries");
  const ofHead = (head: number): Matrix => {
    const [start, end] = [head * headDim, (head + 1) * headDim];
    const weighted = secondMoment(sliceMoments(sensitive, start, end));
    const mean = trace(weighted) / trace(secondMoment(sliceMoments(queries, start, end)));
    return mean > 0 ? scale(weighted, mean ** (exponent - 1)) : weighted;
  };
  return group.readers.map((heads) => heads.map(ofHead).reduce(add));
}

/** The score metric by frequency, for codes that keep frequencies apart: per KV head `[d/2]`, both members of a pair. */
export function frequencyWeights(group: Group): readonly Float64Array[] {
  const { headDim } = group;
  const half = headDim / 2;
  return scoreMetric(group, SENSITIVITY_EXPONENT).map((metric) =>
    Float64Array.from(
      { length: half },
      (_, j) => metric.data[j * headDim + j]! + metric.data[(j + half) * headDim + j + half]!,
    ),
  );
}

/**
 * What an error in a value group costs at the layer's output, `[s * d, s * d]`: block `i, j` is
 * `sum E[sum_n a_h a_h'] W_O,h W_O,h'ᵀ` over the query heads `h` that read KV head `i` and `h'` that read `j`. Errors of
 * different tokens count as independent; what heads make of the same token's error adds up or cancels.
 */
export async function outputMetric(group: Group, products: MatrixProducts): Promise<Matrix> {
  const { headDim, span, readers, outputWeights } = group;
  const heads = readers.flat();
  const stacked = stackRows(heads.map(outputWeights));
  const crossed = await products.multiplyTransposed(stacked, stacked);
  const overlap = secondMoment(group.measured("attentionWeights"));
  const kvHeadOf = readers.flatMap((own, kvHead) => own.map(() => kvHead));
  const metric = createMatrix(span * headDim, span * headDim);
  for (const [i, first] of heads.entries()) {
    for (const [j, second] of heads.entries()) {
      const weight = overlap.data[first * overlap.cols + second]!;
      addBlock(metric, [kvHeadOf[i]!, kvHeadOf[j]!], crossed, [i, j], headDim, weight);
    }
  }
  return metric;
}

/** Adds `weight` times a square block of `source` to one of `target`; blocks are counted, not their rows. */
function addBlock(
  target: Matrix,
  [toRow, toCol]: readonly [number, number],
  source: Matrix,
  [row, col]: readonly [number, number],
  size: number,
  weight: number,
): void {
  for (let i = 0; i < size; i++) {
    const to = (toRow * size + i) * target.cols + toCol * size;
    const from = (row * size + i) * source.cols + col * size;
    for (let j = 0; j < size; j++) target.data[to + j]! += weight * source.data[from + j]!;
  }
}
