import {
  add,
  createMatrix,
  type Matrix,
  type MatrixProducts,
  scale,
  secondMoment,
  slice,
  sliceMoments,
  stackRows,
} from "@kvfold/linalg";
import type { Group, GroupContext } from "./method.js";
import { headSensitivities, type Tempering, temperEach } from "./tempering.js";

/**
 * What an error in each KV head of a key group costs at the layer's output, but for the scale of scores: per KV head
 * `E[w q qᵀ] [d, d]`, summed over the query heads that read it, with `w` the sensitivity of the query (emit-sensitivity.ts).
 * `temper` says how much heads differ.
 */
export function scoreMetric(
  { headDim, measured, readers }: Pick<GroupContext, "headDim" | "measured" | "readers">,
  temper: Tempering = temperEach,
): readonly Matrix[] {
  const sensitive = measured("sensitiveQueries");
  const factors = temper(headSensitivities(sensitive, measured("queries"), headDim));
  const ofHead = (head: number): Matrix => {
    const weighted = secondMoment(sliceMoments(sensitive, head * headDim, (head + 1) * headDim));
    return scale(weighted, factors[head]!);
  };
  return readers.map((heads) => heads.map(ofHead).reduce(add));
}

/** What an error in each KV head of a key group costs, by the metric of the plan: `[d, d]` each. */
function keyMetric(group: Group): readonly Matrix[] {
  const { headDim, span, lossMetric } = group;
  if (lossMetric === undefined) return scoreMetric(group);
  const metric = lossMetric();
  return Array.from({ length: span }, (_, head) => {
    const own = [head * headDim, (head + 1) * headDim] as const;
    return slice(metric, { rows: own, cols: own });
  });
}

/** The score metric by frequency, for codes that keep frequencies apart: per KV head `[d/2]`, both members of a pair. */
export function frequencyWeights(group: Group): readonly Float64Array[] {
  const { headDim } = group;
  const half = headDim / 2;
  return keyMetric(group).map((metric) =>
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
export async function outputMetric(group: GroupContext, products: MatrixProducts): Promise<Matrix> {
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
