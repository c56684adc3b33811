import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { layouts, mixings, numbers, standardFrequencies } from "../test/reference.js";
import { diagonalMixing, expandMixing } from "./complex-mixing.js";
import { commutesWithRope, measureRopeCommutator } from "./rope-commutator.js";

/** Entries are below 1 and each is multiplied by one cosine and one sine on either side. */
const exact = 1e-15;

describe("what commutes with RoPE", () => {
  const inverseFrequencies = standardFrequencies(6);

  it("a rotation and scaling within each pair", () => {
    fc.assert(
      fc.property(numbers(6), numbers(6), layouts, (real, imaginary, layout) => {
        const matrix = expandMixing(diagonalMixing({ frequencies: 3, heads: 2, real, imaginary }), {
          layout,
        });
        const options = { headsIn: 2, headsOut: 2, headDim: 6, inverseFrequencies, layout };
        expect(measureRopeCommutator(matrix, options)).toBeLessThan(exact);
      }),
    );
  });

  it("a complex mixing of heads within each frequency, to fewer heads too", () => {
    fc.assert(
      fc.property(mixings(3, 3, 2), layouts, (mixing, layout) => {
        const options = { headsIn: 3, headsOut: 2, headDim: 6, inverseFrequencies, layout };
        const matrix = expandMixing(mixing, { layout });
        expect(measureRopeCommutator(matrix, options)).toBeLessThan(exact);
        expect(commutesWithRope(matrix, options)).toBe(true);
      }),
    );
  });

  it("anything on dims that are not rotated", () => {
    const matrix = Float64Array.of(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 5, 6, 0, 0, 7, 8);
    const options = { headsIn: 1, headsOut: 1, headDim: 4, inverseFrequencies: new Float64Array([1]) };
    expect(measureRopeCommutator(matrix, options)).toBe(0);
  });
});

describe("what does not", () => {
  const options = { headsIn: 1, headsOut: 1, headDim: 4, inverseFrequencies: new Float64Array([1, 0.1]) };

  it.each([
    ["a mirrored pair", [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1]],
    ["a mix of two frequencies", [1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1]],
    ["a pair scaled unevenly", [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2]],
  ])("%s", (_, entries) => {
    expect(measureRopeCommutator(Float64Array.from(entries), options)).toBeGreaterThan(0.5);
    expect(commutesWithRope(Float64Array.from(entries), options)).toBe(false);
  });

  it("a mixing read in the other layout", () => {
    const mixing = {
      frequencies: 2,
      headsIn: 1,
      headsOut: 1,
      real: Float64Array.of(1, 2),
      imaginary: Float64Array.of(3, 4),
    };
    expect(commutesWithRope(expandMixing(mixing), { ...options, layout: "interleaved" })).toBe(false);
  });
});

describe("measureRopeCommutator", () => {
  it("measures the commutator by hand", () => {
    // R = [[0, 1], [-1, 0]] at a quarter turn of row vectors, W = diag(1, 3): R W - W R = [[0, 2], [2, 0]].
    const options = {
      headsIn: 1,
      headsOut: 1,
      headDim: 2,
      inverseFrequencies: new Float64Array([Math.PI / 2]),
    };
    expect(measureRopeCommutator(Float32Array.of(1, 0, 0, 3), { ...options, positions: [1] })).toBe(2);
    expect(measureRopeCommutator(Float32Array.of(1, 0, 0, 3), { ...options, positions: [4] })).toBeLessThan(
      exact,
    );
    expect(measureRopeCommutator(Float32Array.of(1, 0, 0, 3), { ...options, positions: [] })).toBe(0);
  });

  it("takes float32 weights within the default tolerance", () => {
    const matrix = Float32Array.from(
      expandMixing({
        frequencies: 1,
        headsIn: 1,
        headsOut: 1,
        real: Float64Array.of(0.1),
        imaginary: Float64Array.of(0.7),
      }),
    );
    matrix[0]! += 2e-8;
    expect(
      commutesWithRope(matrix, {
        headsIn: 1,
        headsOut: 1,
        headDim: 2,
        inverseFrequencies: new Float64Array([1]),
      }),
    ).toBe(true);
  });

  it("judges against the size of the entries", () => {
    const options = { headsIn: 1, headsOut: 1, headDim: 2, inverseFrequencies: new Float64Array([1]) };
    expect(commutesWithRope(Float64Array.of(1e-9, 0, 0, 3e-9), options)).toBe(false);
    expect(commutesWithRope(Float64Array.of(1e9, 0, 0, 1e9 + 1), options)).toBe(true);
    expect(commutesWithRope(new Float64Array(4), options)).toBe(true);
  });

  it("refuses a matrix of another shape", () => {
    const options = { headsIn: 2, headsOut: 1, headDim: 2, inverseFrequencies: new Float64Array([1]) };
    expect(() => measureRopeCommutator(new Float64Array(4), options)).toThrow(/matrix to hold 8 numbers/);
    expect(() =>
      measureRopeCommutator(new Float64Array(8), { ...options, inverseFrequencies: new Float64Array(2) }),
    ).toThrow(/at most headDim/);
  });
});
