import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { largestDifference, layouts, multiply, numbers, standardFrequencies } from "../test/reference.js";
import { applyRope } from "./apply-rope.js";
import { convertLayout, layoutPermutation } from "./convert-layout.js";
import { permuteColumns, permuteRows } from "./permute-matrix.js";
import { ropeTables } from "./rope-tables.js";

const toInterleaved = { from: "half-split", to: "interleaved" } as const;
const toHalfSplit = { from: "interleaved", to: "half-split" } as const;

describe("layoutPermutation", () => {
  it("interleaves the halves of each head and leaves the rest of it", () => {
    const permutation = layoutPermutation({ ...toInterleaved, headDim: 5, rotaryDim: 4, heads: 2 });
    expect(Array.from(permutation)).toEqual([0, 2, 1, 3, 4, 5, 7, 6, 8, 9]);
  });

  it("is the identity within one layout", () => {
    const permutation = layoutPermutation({ from: "interleaved", to: "interleaved", headDim: 6 });
    expect(Array.from(permutation)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it.each([
    { headDim: 4, rotaryDim: 3 },
    { headDim: 4, rotaryDim: 6 },
    { headDim: 5 },
    { headDim: 4, heads: 0 },
  ])("refuses %o", (dimensions) => {
    expect(() => layoutPermutation({ ...toInterleaved, ...dimensions })).toThrow(
      expect.objectContaining({ code: "invalid-argument" }),
    );
  });

  it("moves a projection: y = x W with permuted columns is y in the other layout", () => {
    fc.assert(
      fc.property(numbers(3), numbers(3 * 12), (x, weight) => {
        const permutation = layoutPermutation({ ...toInterleaved, headDim: 6, rotaryDim: 4, heads: 2 });
        const moved = permuteColumns(weight, { rows: 3, columns: 12, permutation });
        const expected = convertLayout(multiply(x, weight, 3, 12), {
          ...toInterleaved,
          headDim: 6,
          rotaryDim: 4,
        });
        expect(multiply(x, moved, 3, 12)).toEqual(expected);
      }),
    );
  });

  it("moves Hugging Face's [out, in] weights by their rows", () => {
    const permutation = layoutPermutation({ ...toInterleaved, headDim: 4 });
    const weight = Float32Array.of(0, 1, 10, 11, 20, 21, 30, 31);
    expect(Array.from(permuteRows(weight, { rows: 4, columns: 2, permutation }))).toEqual([
      0, 1, 20, 21, 10, 11, 30, 31,
    ]);
  });
});

describe("convertLayout", () => {
  it("comes back exactly", () => {
    fc.assert(
      fc.property(numbers(24), fc.constantFrom(2, 4, 6), (x, rotaryDim) => {
        const there = convertLayout(x, { ...toInterleaved, headDim: 6, rotaryDim });
        expect(convertLayout(there, { ...toHalfSplit, headDim: 6, rotaryDim })).toEqual(x);
      }),
    );
  });

  it("makes the same rotation of both layouts", () => {
    fc.assert(
      fc.property(numbers(16), layouts, (x, layout) => {
        const to = layout === "half-split" ? "interleaved" : "half-split";
        const tables = ropeTables({
          inverseFrequencies: standardFrequencies(6),
          positions: [3],
          dtype: "float64",
        });
        const convert = (values: Float64Array) =>
          convertLayout(values, { from: layout, to, headDim: 8, rotaryDim: 6 });
        const direct = convert(applyRope(x, { tables, heads: 2, headDim: 8, layout }));
        // The same operations on the same numbers, only elsewhere.
        expect(
          largestDifference(applyRope(convert(x), { tables, heads: 2, headDim: 8, layout: to }), direct),
        ).toBe(0);
      }),
    );
  });

  it("writes to out unless it shares memory", () => {
    const x = Float32Array.of(1, 2, 3, 4);
    const out = new Float32Array(4);
    expect(convertLayout(x, { ...toInterleaved, headDim: 4, out })).toBe(out);
    expect(out).toEqual(Float32Array.of(1, 3, 2, 4));
    expect(() => convertLayout(x, { ...toInterleaved, headDim: 4, out: x })).toThrow(/not to share memory/);
  });

  it("refuses an array that is not made of heads", () => {
    expect(() => convertLayout(new Float32Array(6), { ...toInterleaved, headDim: 4 })).toThrow(
      /x to hold a multiple of 4 numbers/,
    );
  });
});
