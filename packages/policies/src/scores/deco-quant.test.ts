import { describe, expect, it } from "vitest";
import { decoDequantise, decoQuantise, decoRound, dequantiseRows, quantiseRows } from "./deco-quant.js";

/** Normal numbers by the Box-Muller transform of a low-discrepancy sequence; some channels are twelve times larger. */
function withOutliers(rows: number, width: number, outliers: readonly number[]): Float32Array {
  return Float32Array.from({ length: rows * width }, (_, i) => {
    const [u, v] = [((i + 1) * 0.7548776662466927) % 1, ((i + 1) * 0.5698402909980532) % 1];
    const normal = Math.sqrt(-2 * Math.log(u + 1e-12)) * Math.cos(2 * Math.PI * v);
    return outliers.includes(i % width) ? 12 * normal : normal;
  });
}

function relativeError(found: Float32Array, data: Float32Array): number {
  const energy = data.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(data.reduce((sum, value, i) => sum + (value - found[i]!) ** 2, 0) / energy);
}

describe("decoQuantise", () => {
  it("stores a matrix of one direction exactly, one code for each row", () => {
    const data = Float32Array.of(3, 4, 6, 8, -1.5, -2);
    const quantised = decoQuantise({ data, width: 2, bits: 4, block: 2 });
    const codes = Array.from(quantised.codes, Math.abs);
    for (let row = 0; row < 3; row++)
      expect(codes.slice(2 * row, 2 * row + 2).sort((a, b) => a - b)).toEqual([0, 7]);
    expect(relativeError(decoDequantise(quantised), data)).toBeLessThan(1e-6);
  });

  it("is nearer than plain rows at equal bits where channels stand out", () => {
    const [width, outliers] = [64, [3, 20, 21, 40, 47, 59]];
    const data = withOutliers(64, width, outliers);
    for (const bits of [4, 8]) {
      const plain = relativeError(dequantiseRows(quantiseRows({ data, width, bits })), data);
      const decomposed = relativeError(decoDequantise(decoQuantise({ data, width, bits })), data);
      expect(decomposed).toBeLessThan(0.9 * plain);
    }
  });

  it("brings zeros, and directions that are missing, back", () => {
    const zeros = new Float32Array(32);
    expect(decoDequantise(decoQuantise({ data: zeros, width: 32 }))).toEqual(zeros);
    const lame = withOutliers(8, 32, []).map((value, i) => (i % 16 < 3 ? 0 : value));
    // Eight bits: half a scale of about 3 / 127 of the numbers' size.
    expect(
      relativeError(decoDequantise(decoQuantise({ data: lame, width: 32, bits: 8 })), lame),
    ).toBeLessThan(0.02);
  });

  it("leaves the same matrix when it is rounded a few rows at a time", () => {
    const data = withOutliers(600, 48, [3, 20]);
    for (const bits of [4, 8]) {
      const options = { data, width: 48, bits };
      expect(decoRound(options)).toEqual(decoDequantise(decoQuantise(options)));
    }
  });

  it("refuses blocks that do not divide the width", () => {
    expect(() => decoQuantise({ data: new Float32Array(24), width: 24 })).toThrow(
      "decoQuantise: expected rows of 24 channels in blocks of 16",
    );
  });
});

describe("quantiseRows", () => {
  it("rounds to a scale for each row", () => {
    const { codes, scales } = quantiseRows({ data: Float32Array.of(7, -3.4, 0, 0), width: 2, bits: 4 });
    expect([Array.from(codes), Array.from(scales)]).toEqual([
      [7, -3, 0, 0],
      [1, 0],
    ]);
    expect(Array.from(dequantiseRows({ codes, scales }))).toEqual([7, -3, 0, 0]);
  });

  it("refuses one bit", () => {
    expect(() => quantiseRows({ data: new Float32Array(2), width: 2, bits: 1 })).toThrow(
      "expected 2 to 8 bits",
    );
  });
});
