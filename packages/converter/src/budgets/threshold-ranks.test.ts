import { createMatrix, type Matrix } from "@kvfold/linalg";
import { describe, expect, it } from "vitest";
import { thresholdUnits } from "./eigen-threshold.js";
import { spectrumOf, thresholdRanks } from "./threshold-ranks.js";

/** A second moment with these eigenvalues, in coordinates that are their eigenvectors. */
function diagonal(values: readonly number[]): Matrix {
  const data = new Float64Array(values.length ** 2);
  for (const [index, value] of values.entries()) data[index * (values.length + 1)] = value;
  return createMatrix(values.length, values.length, data);
}

const spectra = {
  keys: [spectrumOf(diagonal([1, 4, 1])), spectrumOf(diagonal([0, 16, 0]))],
  values: [spectrumOf(diagonal([1, 1, 1, 1, 1, 1]))],
};

describe("spectrumOf", () => {
  it("normalises singular values, not their squares", () => {
    expect(spectra.keys.map((spectrum) => [...spectrum])).toEqual([
      [0.5, 0.25, 0.25],
      [1, 0, 0],
    ]);
  });

  it("of nothing is nothing", () => {
    expect([...spectrumOf(diagonal([0, 0]))]).toEqual([0, 0]);
  });
});

describe("thresholdRanks", () => {
  it.each([
    [1, 2, 5],
    [0.76, 2, 4],
    [0.75, 1, 4],
    [0.5, 0, 2],
    [0, 0, 0],
  ])("at %d are %d for keys and %d for values", (threshold, keys, values) => {
    // #{ i : cumsum_i < threshold }, most over the groups. Sums of sixths are not exact: 1 may count all six.
    const ranks = thresholdRanks(spectra, threshold);
    expect(ranks.keys).toBe(keys);
    expect([values, values + (threshold === 1 || threshold === 0.5 ? 1 : 0)]).toContain(ranks.values);
  });
});

describe("thresholdUnits", () => {
  const byThreshold = (threshold: number) => Math.max(1, Math.ceil(threshold * 100));

  it("falls in steps of 0.02 to 45 % of a layer, where the total allows as much", () => {
    const units = thresholdUnits(byThreshold, { full: 100, uniform: 50 });
    expect(units.slice(0, 3)).toEqual([100, 98, 96]);
    expect(units.at(-1)).toBe(45);
  });

  it("falls to a quarter of the uniform rank where it does not", () => {
    expect(thresholdUnits(byThreshold, { full: 100, uniform: 40 }).at(-1)).toBe(10);
    expect(thresholdUnits(byThreshold, { full: 8, uniform: 1 }).at(-1)).toBe(1);
  });
});
