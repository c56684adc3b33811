import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { largestDifference, layouts, numbers, standardFrequencies } from "../test/reference.js";
import { applyRope } from "./apply-rope.js";
import { joinComplexFrequencies, splitComplexFrequencies } from "./complex-frequencies.js";
import { ropeTables } from "./rope-tables.js";

describe("splitComplexFrequencies and joinComplexFrequencies", () => {
  // [tokens 2, heads 2, headDim 4]
  const x = Float32Array.from({ length: 16 }, (_, index) => index);

  it("put the frequency outermost", () => {
    const z = splitComplexFrequencies(x, { heads: 2, headDim: 4 });
    expect(z).toMatchObject({ frequencies: 2, tokens: 2, heads: 2 });
    expect(Array.from(z.real)).toEqual([0, 4, 8, 12, 1, 5, 9, 13]);
    expect(Array.from(z.imaginary)).toEqual([2, 6, 10, 14, 3, 7, 11, 15]);
  });

  it("read the interleaved layout", () => {
    const z = splitComplexFrequencies(x, { heads: 2, headDim: 4, layout: "interleaved" });
    expect(Array.from(z.real)).toEqual([0, 4, 8, 12, 2, 6, 10, 14]);
    expect(Array.from(z.imaginary)).toEqual([1, 5, 9, 13, 3, 7, 11, 15]);
  });

  it("undo each other exactly", () => {
    fc.assert(
      fc.property(numbers(36), layouts, (values, layout) => {
        const z = splitComplexFrequencies(values, { heads: 3, headDim: 6, layout });
        expect(joinComplexFrequencies(z, { layout })).toEqual(values);
      }),
    );
  });

  it("turn RoPE into a phase per frequency, shared by all heads", () => {
    fc.assert(
      fc.property(numbers(12), layouts, fc.integer({ min: 0, max: 999 }), (values, layout, position) => {
        const inverseFrequencies = standardFrequencies(6);
        const tables = ropeTables({ inverseFrequencies, positions: [position], dtype: "float64" });
        const rotated = applyRope(values, { tables, heads: 2, headDim: 6, layout });
        const before = splitComplexFrequencies(values, { heads: 2, headDim: 6, layout });
        const after = splitComplexFrequencies(rotated, { heads: 2, headDim: 6, layout });
        const phase = (index: number) => position * inverseFrequencies[Math.floor(index / 2)]!;
        const real = before.real.map(
          (a, i) => a * Math.cos(phase(i)) - before.imaginary[i]! * Math.sin(phase(i)),
        );
        // The same products in the same order, but for a fused multiply: below 3 roundings of numbers under 2.
        expect(largestDifference(after.real, real)).toBeLessThan(1e-15);
      }),
    );
  });

  it("refuse what does not fit", () => {
    expect(() => splitComplexFrequencies(x, { heads: 3, headDim: 4 })).toThrow(
      /x to hold a multiple of 12 numbers/,
    );
    expect(() => splitComplexFrequencies(x, { heads: 2, headDim: 5 })).toThrow(/rotaryDim to be even/);
    const z = {
      frequencies: 2,
      tokens: 1,
      heads: 1,
      real: new Float32Array(2),
      imaginary: new Float32Array(3),
    };
    expect(() => joinComplexFrequencies(z)).toThrow(/imaginary to hold 2 numbers \(as real\), found 3/);
    expect(() => joinComplexFrequencies({ ...z, tokens: 2 })).toThrow(/real to hold 4 numbers/);
  });
});
