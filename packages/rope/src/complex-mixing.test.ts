import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  dot,
  largestDifference,
  layouts,
  mixings,
  multiply,
  numbers,
  positions,
  standardFrequencies,
} from "../test/reference.js";
import { applyRope } from "./apply-rope.js";
import { adjointMixing, diagonalMixing, expandMixing, mixHeads } from "./complex-mixing.js";
import { ropeTables } from "./rope-tables.js";

/** Sums of at most 12 products of numbers below 1, in float64. */
const tolerance = 1e-14;

const cases = fc
  .record({
    frequencies: fc.integer({ min: 1, max: 4 }),
    headsIn: fc.integer({ min: 1, max: 3 }),
    headsOut: fc.integer({ min: 1, max: 3 }),
    layout: layouts,
  })
  .chain(({ frequencies, headsIn, headsOut, layout }) =>
    fc.record({
      mixing: mixings(frequencies, headsIn, headsOut),
      x: numbers(2 * headsIn * 2 * frequencies),
      layout: fc.constant(layout),
    }),
  );

describe("mixHeads", () => {
  it("multiplies complex numbers by hand", () => {
    // Frequency 0: (1 + 3i) · i = -3 + i; frequency 1: (2 + 4i) · 2 = 4 + 8i.
    const mixing = {
      frequencies: 2,
      headsIn: 1,
      headsOut: 1,
      real: Float64Array.of(0, 2),
      imaginary: Float64Array.of(1, 0),
    };
    expect(mixHeads(Float32Array.of(1, 2, 3, 4), { mixing })).toEqual(Float32Array.of(-3, 4, 1, 8));
    const interleaved = mixHeads(Float32Array.of(1, 3, 2, 4), { mixing, layout: "interleaved" });
    expect(interleaved).toEqual(Float32Array.of(-3, 1, 4, 8));
  });

  it("equals the product with the expanded matrix", () => {
    fc.assert(
      fc.property(cases, ({ mixing, x, layout }) => {
        const { frequencies, headsIn, headsOut } = mixing;
        const matrix = expandMixing(mixing, { layout });
        const product = multiply(x, matrix, headsIn * 2 * frequencies, headsOut * 2 * frequencies);
        expect(largestDifference(mixHeads(x, { mixing, layout }), product)).toBeLessThan(tolerance);
      }),
    );
  });

  it("commutes with RoPE", () => {
    fc.assert(
      fc.property(cases, fc.tuple(positions, positions), ({ mixing, x, layout }, at) => {
        const headDim = 2 * mixing.frequencies;
        const inverseFrequencies = standardFrequencies(headDim);
        const tables = ropeTables({
          inverseFrequencies,
          positions: at,
          attentionScaling: 1.5,
          dtype: "float64",
        });
        const before = mixHeads(applyRope(x, { tables, heads: mixing.headsIn, headDim, layout }), {
          mixing,
          layout,
        });
        const after = applyRope(mixHeads(x, { mixing, layout }), {
          tables,
          heads: mixing.headsOut,
          headDim,
          layout,
        });
        expect(largestDifference(before, after)).toBeLessThan(tolerance);
      }),
    );
  });

  it("refuses what does not fit", () => {
    const mixing = {
      frequencies: 1,
      headsIn: 2,
      headsOut: 1,
      real: new Float64Array(2),
      imaginary: new Float64Array(2),
    };
    expect(() => mixHeads(new Float32Array(6), { mixing })).toThrow(/x to hold a multiple of 4 numbers/);
    expect(() => expandMixing({ ...mixing, headsIn: 3 })).toThrow(/mixing\.real to hold 3 numbers/);
    expect(() => adjointMixing({ ...mixing, imaginary: new Float64Array(1) })).toThrow(
      /mixing\.imaginary to hold 2/,
    );
    expect(() => mixHeads(new Float32Array(4), { mixing: { ...mixing, headsOut: 0 } })).toThrow(/headsOut/);
  });
});

describe("adjointMixing", () => {
  it("expands to the transposed matrix", () => {
    fc.assert(
      fc.property(cases, ({ mixing, layout }) => {
        const matrix = expandMixing(mixing, { layout });
        const columns = mixing.headsOut * 2 * mixing.frequencies;
        const rows = mixing.headsIn * 2 * mixing.frequencies;
        const transposed = matrix.map(
          (_, index) => matrix[(index % rows) * columns + Math.floor(index / rows)]!,
        );
        // Signs of zeros differ.
        expect(largestDifference(expandMixing(adjointMixing(mixing), { layout }), transposed)).toBe(0);
      }),
    );
  });

  it("moves a mixing from keys to queries without changing scores", () => {
    fc.assert(
      fc.property(mixings(2, 3, 2), numbers(8), numbers(12), (mixing, q, k) => {
        const mixedKeys = dot(q, mixHeads(k, { mixing }));
        const mixedQueries = dot(mixHeads(q, { mixing: adjointMixing(mixing) }), k);
        expect(Math.abs(mixedKeys - mixedQueries)).toBeLessThan(10 * tolerance);
      }),
    );
  });
});

describe("diagonalMixing", () => {
  it("turns and scales each pair of each head on its own", () => {
    const parts = { real: Float64Array.of(1, 2, 3, 4), imaginary: Float64Array.of(0, 0, 0, 1) };
    const mixing = diagonalMixing({ frequencies: 2, heads: 2, ...parts });
    // Head 0: times 1 and 3; head 1: times 2 and 4 + i.
    expect(Array.from(mixHeads(Float32Array.of(1, 1, 1, 1, 1, 1, 1, 1), { mixing }))).toEqual([
      1, 3, 1, 3, 2, 3, 2, 5,
    ]);
  });

  it("refuses parts of another shape", () => {
    const parts = { real: new Float64Array(3), imaginary: new Float64Array(4) };
    expect(() => diagonalMixing({ frequencies: 2, heads: 2, ...parts })).toThrow(/real to hold 4 numbers/);
  });
});
