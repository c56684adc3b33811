import { createMatrix, transpose } from "@kvfold/linalg";
import { ConverterError } from "../converter-error.js";
import type { Group, Method } from "./method.js";
import { groupSpans } from "./spans.js";

/** Averages neighbouring heads: GQA's own recipe (Ainslie et al. 2023, section 2.1). */
export const mean: Method = {
  name: "mean",
  summary: "average neighbouring heads, GQA's own recipe",
  reference: "Ainslie et al. 2023, arXiv 2305.13245, section 2.1",
  taps: [],
  standardShape: true,
  spans: groupSpans,
  // Every folded head is the average of the same number of heads.
  allowsRank: ({ span, rank }, headDim) => rank % headDim === 0 && (span * headDim) % rank === 0,
  basis: async (group) => {
    const pooled = averageMatrix(group);
    const basis = { encode: pooled, decode: indicator(group, pooled.cols) };
    // An average of whole heads commutes with the rotation, so it can go into the weights.
    return group.side === "keys" && group.rank === group.headDim
      ? { ...basis, slots: ownFrequencies(group) }
      : basis;
  },
};

const ownFrequencies = ({ headDim }: Group) => Array.from({ length: headDim / 2 }, (_, index) => index);

/** Entry `[i*d + x, j*d + x]` is 1/t when head `i` is one of the `t` neighbours that folded head `j` averages. */
function averageMatrix({ span, headDim, rank }: Group) {
  const pooled = (span * headDim) / rank;
  if (!Number.isInteger(pooled)) {
    throw new ConverterError(
      "invalid-option",
      `method mean: expected a rank that divides the ${span * headDim} numbers of its heads, found ${rank}`,
    );
  }
  const data = new Float64Array(span * headDim * rank);
  for (let row = 0; row < span * headDim; row++) {
    const col = Math.floor(row / headDim / pooled) * headDim + (row % headDim);
    data[row * rank + col] = 1 / pooled;
  }
  return createMatrix(span * headDim, rank, data);
}

/** Every head of a folded one reads the same average. */
function indicator(group: Group, rank: number) {
  const average = averageMatrix(group);
  return transpose(
    createMatrix(
      average.rows,
      rank,
      average.data.map((value) => (value === 0 ? 0 : 1)),
    ),
  );
}
