import { describe, expect, it } from "vitest";
import { createMatrix, identity } from "./matrix.js";
import { frobeniusNorm, trace } from "./norms.js";

describe("frobeniusNorm", () => {
  it.each([1, 1e200, 1e-200])("is 5 s for 3 s and 4 s, at s = %d", (s) => {
    const norm = frobeniusNorm(createMatrix(2, 1, Float64Array.of(3 * s, -4 * s)));
    expect(norm / s).toBeCloseTo(5, 14);
  });

  it("is zero for zeros and for nothing, NaN for NaN, infinite for infinity", () => {
    expect(frobeniusNorm(createMatrix(2, 2))).toBe(0);
    expect(frobeniusNorm(createMatrix(0, 2))).toBe(0);
    expect(frobeniusNorm(createMatrix(1, 2, Float64Array.of(Number.NaN, 1)))).toBeNaN();
    expect(frobeniusNorm(createMatrix(1, 2, Float64Array.of(Number.NEGATIVE_INFINITY, 1)))).toBe(
      Number.POSITIVE_INFINITY,
    );
  });
});

describe("trace", () => {
  it("sums the diagonal of a square matrix", () => {
    expect(trace(createMatrix(2, 2, Float64Array.of(1, 9, 9, 2)))).toBe(3);
    expect(trace(identity(7))).toBe(7);
    expect(() => trace(createMatrix(1, 2))).toThrow(/trace: expected a to be square, got \[1, 2\]/);
  });
});
