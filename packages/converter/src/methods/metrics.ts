import { add, createMatrix, type Matrix, scale, secondMoment, sliceMoments, trace } from "@kvfold/linalg";
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
export function outputMetric(group: Group): Matrix {
  const { headDim, span, readers, outputWeights } = group;
  const overlap = secondMoment(group.measured("attentionWeights"));
  const width = span * headDim;
  const data = new Float64Array(width * width);
  for (const [i, first] of readers.entries()) {
    for (const [j, second] of readers.entries()) {
      for (const h of first) {
        for (const other of second) {
          const weight = overlap.data[h * overlap.cols + other]!;
          addOuter(data, width, [i * headDim, j * headDim], outputWeights(h), outputWeights(other), weight);
        }
      }
    }
  }
  return createMatrix(width, width, data);
}

/** `target[row.., col..] += weight * A Bᵀ` for `A, B [d, D]`. */
function addOuter(
  target: Float64Array,
  width: number,
  [row, col]: readonly [number, number],
  a: Matrix,
  b: Matrix,
  weight: number,
) {
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < b.rows; j++) {
      let dot = 0;
      for (let k = 0; k < a.cols; k++) dot += a.data[i * a.cols + k]! * b.data[j * b.cols + k]!;
      target[(row + i) * width + col + j]! += weight * dot;
    }
  }
}
