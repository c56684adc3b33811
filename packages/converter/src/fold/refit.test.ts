import type { StageResult } from "@kvfold/calibration";
import type { Linear } from "@kvfold/decoder";
import { plainProducts } from "@kvfold/linalg";
import { gaussians } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { largestDifference } from "../../test/support/numbers.js";
import { REFIT, REFIT_TARGET } from "../graph/regression.js";
import { refitInputs, refitLinear } from "./refit.js";

const COUNT = 200;
const INPUTS = 3;
const OUTPUTS = 2;

/** Sums over rows `z` that `target` is computed from. */
function regression(
  target: (z: readonly number[]) => readonly number[],
  units: readonly number[] = [1, 1, 1],
): StageResult {
  const count = COUNT;
  const outputs = target(Array.from({ length: INPUTS }, () => 0)).length;
  const next = gaussians(3);
  const sum = new Float64Array(INPUTS);
  const gram = new Float64Array(INPUTS * INPUTS);
  const cross = new Float64Array(INPUTS * outputs);
  const targets = new Float64Array(outputs);
  for (let row = 0; row < count; row++) {
    const z = units.map((unit, i) => unit * (next() + i));
    const y = target(z);
    for (let i = 0; i < INPUTS; i++) {
      sum[i]! += z[i]!;
      for (let j = 0; j < INPUTS; j++) gram[i * INPUTS + j]! += z[i]! * z[j]!;
      for (let j = 0; j < outputs; j++) cross[i * outputs + j]! += z[i]! * y[j]!;
    }
    for (let j = 0; j < outputs; j++) targets[j]! += y[j]!;
  }
  return {
    moments: { [REFIT]: { width: INPUTS, count, sum, gram } },
    crosses: { [REFIT_TARGET]: { cross, sum: targets } },
  };
}

const linear = (weight: readonly number[], bias?: readonly number[]): Linear => ({
  inputs: INPUTS,
  outputs: OUTPUTS,
  weight: Float32Array.from(weight),
  bias: bias && Float32Array.from(bias),
});

const truth = [1, -2, 0.5, 3, 0, 1];
const apply = (z: readonly number[], constant: readonly number[]) =>
  constant.map((value, j) => z.reduce((sum, x, i) => sum + x * truth[i * OUTPUTS + j]!, value));

describe("refitLinear", () => {
  it("leaves weights that fit already as they are, whatever the ridge", async () => {
    const result = regression((z) => apply(z, [2, -1]));
    const refitted = await refitLinear(
      { linear: linear(truth, [2, -1]), sums: result, bias: "free" },
      plainProducts,
    );
    expect(largestDifference(refitted.weight, truth)).toBeLessThan(1e-6);
    expect(largestDifference(refitted.bias!, [2, -1])).toBeLessThan(1e-6);
  });

  it("finds the weights and the bias behind data", async () => {
    const result = regression((z) => apply(z, [2, -1]));
    const refitted = await refitLinear(
      { linear: linear([0, 0, 0, 0, 0, 0]), sums: result, bias: "free" },
      plainProducts,
    );
    // The ridge of 1e-3 draws towards the zeros it started from.
    expect(largestDifference(refitted.weight, truth)).toBeLessThan(2e-2);
    expect(largestDifference(refitted.bias!, [2, -1])).toBeLessThan(5e-2);
  });

  it("gives no bias where there is no place for one", async () => {
    const result = regression((z) => apply(z, [0, 0]));
    const refitted = await refitLinear(
      { linear: linear([0, 0, 0, 0, 0, 0]), sums: result, bias: "none" },
      plainProducts,
    );
    expect(refitted.bias).toBeUndefined();
    expect(largestDifference(refitted.weight, truth)).toBeLessThan(2e-2);
  });

  it("fits the other inputs where one has a thousand times their deviation", async () => {
    const result = regression((z) => apply(z, [2, -1]), [1000, 1, 1]);
    const refitted = await refitLinear(
      { linear: linear([1, -2, 0, 0, 0, 0]), sums: result, bias: "free" },
      plainProducts,
    );
    expect(largestDifference(refitted.weight, truth)).toBeLessThan(2e-2);
  });

  it("does not depend on the units of the inputs", async () => {
    const start = [0.5, 0, 1, 2, 0, -1];
    const units = [1e-3, 1, 1e4];
    const target = (z: readonly number[]) => [z[0]! * z[1]!, z[1]! - z[2]! ** 2];
    const fit = (weight: readonly number[], result: StageResult) =>
      refitLinear({ linear: linear(weight, [1, 2]), sums: result, bias: "free" }, plainProducts);
    const plain = await fit(start, regression(target));
    const scaled = await fit(
      start.map((value, at) => value / units[Math.floor(at / OUTPUTS)]!),
      regression((z) => target(z.map((value, i) => value / units[i]!)), units),
    );
    const back = scaled.weight.map((value, at) => value * units[Math.floor(at / OUTPUTS)]!);
    // Weights are float32.
    expect(largestDifference(back, plain.weight)).toBeLessThan(1e-6);
    expect(largestDifference(scaled.bias!, plain.bias!)).toBeLessThan(1e-6);
  });

  it("does not draw the bias: it is what the means leave, however large", async () => {
    const result = regression(() => [1e6, -3e5]);
    const refitted = await refitLinear(
      { linear: linear([0, 0, 0, 0, 0, 0]), sums: result, bias: "free" },
      plainProducts,
    );
    expect([...refitted.bias!]).toEqual([1e6, -3e5]);
  });

  it("keeps the weights of an input that is constant", async () => {
    const result = regression((z) => [z[1]!, z[0]!], [1, 1, 0]);
    const { moments, crosses } = result;
    const [{ gram, sum, count }, { cross, sum: target }] = [moments[REFIT]!, crosses[REFIT_TARGET]!];
    // Input 2 is always 30.
    sum[2] = 30 * count;
    for (let i = 0; i < 2; i++) gram[i * INPUTS + 2] = gram[2 * INPUTS + i] = 30 * sum[i]!;
    gram[INPUTS * INPUTS - 1] = 900 * count;
    for (let j = 0; j < OUTPUTS; j++) cross[2 * OUTPUTS + j] = 30 * target[j]!;
    const refitted = await refitLinear({ linear: linear(truth), sums: result, bias: "free" }, plainProducts);
    // Rounding of sums about zero, over the ridge of a constant.
    expect(largestDifference(refitted.weight.subarray(4), truth.slice(4))).toBeLessThan(1e-3);
    expect(largestDifference(refitted.weight.subarray(0, 4), [0, 1, 1, 0])).toBeLessThan(1e-2);
  });

  it("keeps the weights of what the data does not show", async () => {
    const { moments, crosses } = regression(() => [0, 0]);
    const { gram, sum } = moments[REFIT]!;
    // Input 2 is always zero.
    for (let i = 0; i < INPUTS; i++) gram[i * INPUTS + 2] = gram[2 * INPUTS + i] = 0;
    sum[2] = 0;
    const refitted = await refitLinear(
      { linear: linear(truth), sums: { moments, crosses }, bias: "free" },
      plainProducts,
    );
    expect([...refitted.weight.subarray(4)]).toEqual(truth.slice(4));
    expect(Math.abs(refitted.weight[0]!)).toBeLessThan(0.1);
  });
});

describe("refitInputs", () => {
  it("puts the map from folded to original inputs in front of what reads them", async () => {
    // The original inputs are `z A + a`, exactly.
    const map = [1, 0.5, 0, 0, 2, 0, -1, 0, 1];
    const sums = regression((z) =>
      [0, 1, 2].map((j) => z.reduce((total, x, i) => total + x * map[i * INPUTS + j]!, j)),
    );
    const [refitted] = await refitInputs(
      { linears: [linear(truth, [2, -1])], sums, bias: "free" },
      plainProducts,
    );
    const read = (z: readonly number[]) =>
      apply(
        [0, 1, 2].map((j) => z.reduce((total, x, i) => total + x * map[i * INPUTS + j]!, j)),
        [2, -1],
      );
    for (const z of [
      [0, 0, 0],
      [1, -2, 3],
    ]) {
      const found = [0, 1].map((j) =>
        z.reduce((total, x, i) => total + x * refitted!.weight[i * OUTPUTS + j]!, refitted!.bias![j]!),
      );
      // The ridge of 1e-3 draws the map towards the identity.
      expect(largestDifference(found, read(z))).toBeLessThan(1e-1);
    }
  });

  it("changes nothing where folded and original inputs agree, and makes no bias where none is allowed", async () => {
    const sums = regression((z) => z);
    const [refitted] = await refitInputs({ linears: [linear(truth)], sums, bias: "none" }, plainProducts);
    expect(largestDifference(refitted!.weight, truth)).toBeLessThan(1e-6);
    expect(refitted!.bias).toBeUndefined();
  });
});
