import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { randomMatrix, seeds } from "../test/random-matrix.js";
import { add, scale, subtract } from "./arithmetic.js";
import { createMatrix, fromFloat32, identity, toFloat32, transpose } from "./matrix.js";
import { NumericalError } from "./numerical-error.js";

const values = (...numbers: number[]) => Float64Array.from(numbers);

describe("createMatrix", () => {
  it("makes zeros, or wraps the data given", () => {
    expect(createMatrix(2, 2).data).toEqual(values(0, 0, 0, 0));
    const data = values(1, 2);
    expect(createMatrix(1, 2, data).data).toBe(data);
  });

  it.each([
    [2, 2, 3],
    [-1, 2, 0],
    [1.5, 2, 3],
    [Number.NaN, 1, 0],
  ])("refuses [%d, %d] with %d values", (rows, cols, length) => {
    expect(() => createMatrix(rows, cols, new Float64Array(length))).toThrow(NumericalError);
  });
});

describe("transpose", () => {
  it("moves every element, and twice is nothing", () => {
    const size = fc.integer({ min: 0, max: 40 });
    fc.assert(
      fc.property(size, size, seeds, (rows, cols, seed) => {
        const a = randomMatrix(rows, cols, seed);
        const flipped = transpose(a);
        expect([flipped.rows, flipped.cols]).toEqual([cols, rows]);
        expect(flipped.data.subarray(0, rows)).toEqual(a.data.filter((_, index) => index % cols === 0));
        expect(transpose(flipped)).toEqual(a);
      }),
      { numRuns: 30 },
    );
  });

  it("transposes a hand-computed case", () => {
    expect(transpose(createMatrix(2, 3, values(1, 2, 3, 4, 5, 6))).data).toEqual(values(1, 4, 2, 5, 3, 6));
  });
});

describe("element-wise operations", () => {
  const a = createMatrix(1, 2, values(1, 2));
  const b = createMatrix(1, 2, values(10, 20));

  it("adds, subtracts and scales without touching their arguments", () => {
    expect(add(a, b).data).toEqual(values(11, 22));
    expect(subtract(b, a).data).toEqual(values(9, 18));
    expect(scale(a, -3).data).toEqual(values(-3, -6));
    expect(a.data).toEqual(values(1, 2));
  });

  it("refuses different shapes with the same number of values", () => {
    expect(() => add(a, transpose(b))).toThrow(/add: .*\[1, 2\] and \[2, 1\]/);
    expect(() => subtract(a, transpose(b))).toThrow(/subtract/);
  });
});

describe("float32", () => {
  it("rounds to float32 and comes back exactly", () => {
    const a = createMatrix(1, 2, values(0.1, 2));
    expect(Array.from(toFloat32(a))).toEqual([Math.fround(0.1), 2]);
    expect(fromFloat32(1, 2, toFloat32(a)).data).toEqual(values(Math.fround(0.1), 2));
    expect(() => fromFloat32(2, 2, toFloat32(a))).toThrow(NumericalError);
  });
});

describe("identity", () => {
  it("has ones on the diagonal", () => {
    expect(identity(2).data).toEqual(values(1, 0, 0, 1));
    expect(identity(0).data).toHaveLength(0);
  });
});

describe("NumericalError", () => {
  it("is recognised by its marker, across copies of the package", () => {
    expect(NumericalError.isInstance(new NumericalError("not-finite", "x"))).toBe(true);
    expect(NumericalError.isInstance(new Error("x"))).toBe(false);
    expect(NumericalError.isInstance(null)).toBe(false);
    expect(new NumericalError("not-finite", "x").name).toBe("NumericalError");
  });
});
