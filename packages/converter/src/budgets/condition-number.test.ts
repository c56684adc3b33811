import { createMatrix, toFloat32, truncatedSvd } from "@kvfold/linalg";
import { gaussians } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { logConditionNumber } from "./condition-number.js";

const linear = (inputs: number, outputs: number, weight: Iterable<number>) => ({
  inputs,
  outputs,
  weight: Float32Array.from(weight),
  bias: undefined,
});

describe("logConditionNumber", () => {
  it("is the logarithm of the ratio of singular values", () => {
    expect(logConditionNumber(linear(2, 2, [4, 0, 0, -1]))).toBeCloseTo(Math.log(4), 12);
  });

  it.each([
    [5, 3],
    [3, 5],
  ])("agrees with the singular values of a random [%d, %d]", (rows, cols) => {
    const matrix = createMatrix(rows, cols, Float64Array.from({ length: 15 }, gaussians(5)));
    const { singularValues } = truncatedSvd(matrix, 3);
    const expected = Math.log(singularValues[0]! / singularValues[2]!);
    // The weight is rounded to float32: seven digits.
    expect(logConditionNumber(linear(rows, cols, toFloat32(matrix)))).toBeCloseTo(expected, 5);
  });

  it("takes singular values below a millionth for rounding", () => {
    expect(logConditionNumber(linear(2, 2, [1, 1, 1, 1]))).toBeCloseTo(Math.log(1e6), 12);
    expect(logConditionNumber(linear(2, 2, [1, 0, 0, 1e-9]))).toBeCloseTo(Math.log(1e6), 12);
  });

  it("of zeros is 0", () => {
    expect(logConditionNumber(linear(2, 2, [0, 0, 0, 0]))).toBe(0);
  });
});
