import { quantiseRows } from "@kvfold/decoder";
import { add, createMatrix, identity, type Matrix, plainProducts, transposeMultiply } from "@kvfold/linalg";
import { gaussians } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { descend } from "./descend.js";
import { type Choice, nearestCodes } from "./rounding-grid.js";

const [inputs, outputs] = [328, 3];

function randomMatrix(rows: number, cols: number, seed: number): Matrix {
  const next = gaussians(seed);
  return createMatrix(rows, cols, Float64Array.from({ length: rows * cols }, next));
}

/** Nearest codes of random weights. */
function nearestChoice(): Choice {
  const { data } = randomMatrix(outputs, inputs, 1);
  const { scales } = quantiseRows(Float32Array.from(data), outputs, inputs);
  const weight = Float32Array.from(
    { length: inputs * outputs },
    (_, at) => data[(at % outputs) * inputs + Math.floor(at / outputs)]!,
  );
  return nearestCodes({ inputs, outputs, weight, bias: undefined }, scales);
}

/** Inputs that are mixed from half as many sources, so that blocks pull at one another. */
function squareOfMixedInputs(): Matrix {
  const rows = randomMatrix(inputs / 2, inputs, 2);
  return add(transposeMultiply(rows, rows), identity(inputs));
}

describe("descend", () => {
  it("makes the same choice in wide strips as in single blocks, whose pull is made of all errors anew", async () => {
    const square = squareOfMixedInputs();
    const [wide, single] = [nearestChoice(), nearestChoice()];
    await descend(wide, square, plainProducts);
    await descend(single, square, plainProducts, 32);
    expect(wide.codes).toEqual(single.codes);
    expect(wide.scales).toEqual(single.scales);
    expect(wide.codes).not.toEqual(nearestChoice().codes);
  });
});
