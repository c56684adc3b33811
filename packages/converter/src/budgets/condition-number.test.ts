import {
  createMatrix,
  type Matrix,
  multiply,
  multiplyTransposed,
  principalBasis,
  toFloat32,
} from "@kvfold/linalg";
import { gaussians } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { logConditionNumber } from "./condition-number.js";

const linear = (inputs: number, outputs: number, weight: Iterable<number>) => ({
  inputs,
  outputs,
  weight: Float32Array.from(weight),
  bias: undefined,
});

/** Three orthonormal columns. */
async function orthonormal(rows: number, seed: number): Promise<Matrix> {
  const noise = createMatrix(rows, 3, Float64Array.from({ length: 3 * rows }, gaussians(seed)));
  return multiply(noise, (await principalBasis(noise, 3)).encode);
}

describe("logConditionNumber", () => {
  it("is the logarithm of the ratio of singular values", () => {
    expect(logConditionNumber(linear(2, 2, [4, 0, 0, -1]))).toBeCloseTo(Math.log(4), 12);
  });

  it.each([
    [5, 3],
    [3, 5],
  ])("is that of a [%d, %d] made of known singular values", async (rows, cols) => {
    const [left, right] = [await orthonormal(rows, 1), await orthonormal(cols, 2)];
    const sizes = [4, 2, 0.5];
    const scaled = { ...left, data: left.data.map((value, at) => value * sizes[at % 3]!) };
    const weight = toFloat32(multiplyTransposed(scaled, right));
    // The weight is rounded to float32: seven digits.
    expect(logConditionNumber(linear(rows, cols, weight))).toBeCloseTo(Math.log(8), 5);
  });

  it("takes singular values below a millionth for rounding", () => {
    expect(logConditionNumber(linear(2, 2, [1, 1, 1, 1]))).toBeCloseTo(Math.log(1e6), 12);
    expect(logConditionNumber(linear(2, 2, [1, 0, 0, 1e-9]))).toBeCloseTo(Math.log(1e6), 12);
  });

  it("of zeros is 0", () => {
    expect(logConditionNumber(linear(2, 2, [0, 0, 0, 0]))).toBe(0);
  });
});
