import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { randomMatrix, seeds } from "../test/random-matrix.js";
import { scale } from "./arithmetic.js";
import { blockDiagonal, slice, stackColumns, stackRows } from "./blocks.js";
import { createMatrix, identity } from "./matrix.js";

describe("slice", () => {
  const a = createMatrix(2, 3, Float64Array.of(1, 2, 3, 4, 5, 6));

  it("copies a rectangle, whole axes by default", () => {
    expect(Array.from(slice(a, { rows: [1, 2], cols: [0, 2] }).data)).toEqual([4, 5]);
    expect(slice(a, {})).toEqual(a);
    expect(slice(a, {}).data).not.toBe(a.data);
    expect(slice(a, { rows: [1, 1] })).toEqual(createMatrix(0, 3));
  });

  it.each([[[0, 3]], [[-1, 1]], [[2, 1]], [[0, 0.5]]] as const)("refuses rows %j of two", (rows) => {
    expect(() => slice(a, { rows })).toThrow(/slice: expected rows .*\[0, 2\)/);
  });
});

describe("stacking", () => {
  it("is undone by slicing", () => {
    const size = fc.integer({ min: 0, max: 6 });
    fc.assert(
      fc.property(size, size, size, seeds, (m, n, common, seed) => {
        const above = randomMatrix(m, common, seed);
        const below = randomMatrix(n, common, seed + 1);
        const stacked = stackRows([above, below]);
        expect(slice(stacked, { rows: [0, m] })).toEqual(above);
        expect(slice(stacked, { rows: [m, m + n] })).toEqual(below);
        const left = randomMatrix(common, m, seed);
        const right = randomMatrix(common, n, seed + 1);
        const joined = stackColumns([left, right]);
        expect(slice(joined, { cols: [0, m] })).toEqual(left);
        expect(slice(joined, { cols: [m, m + n] })).toEqual(right);
      }),
    );
  });

  it("refuses nothing at all, and parts that do not align, by number", () => {
    expect(() => stackRows([])).toThrow(/stackRows: expected at least one/);
    expect(() => stackRows([identity(2), identity(3)])).toThrow(/2 cols like the first, found 3 in number 1/);
    expect(() => stackColumns([identity(2), identity(3)])).toThrow(/2 rows/);
  });
});

describe("blockDiagonal", () => {
  it("places blocks of any shape and leaves zeros elsewhere", () => {
    const wide = createMatrix(1, 2, Float64Array.of(5, 6));
    expect(blockDiagonal([scale(identity(1), 3), wide])).toEqual(
      createMatrix(2, 3, Float64Array.of(3, 0, 0, 0, 5, 6)),
    );
    expect(blockDiagonal([])).toEqual(createMatrix(0, 0));
  });
});
