import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  dot,
  largestDifference,
  layouts,
  numbers,
  positions,
  rotateNaively,
  standardFrequencies,
} from "../test/reference.js";
import vectors from "../testdata/onnx-runtime.json" with { type: "json" };
import { applyRope } from "./apply-rope.js";
import type { RopeLayout } from "./rope-layout.js";
import { ropeTables } from "./rope-tables.js";

/** Two products and a sum of numbers below 1, in float64: a few times 1.1e-16. */
const float64Tolerance = 1e-15;

const quarterTurn = ropeTables({
  inverseFrequencies: new Float64Array([Math.PI / 2, 0]),
  positions: [1],
  dtype: "float64",
});

describe("applyRope by hand", () => {
  it("half-split turns the pair (0, 2)", () => {
    const rotated = applyRope(new Float64Array([1, 2, 10, 20]), {
      tables: quarterTurn,
      heads: 1,
      headDim: 4,
    });
    // cos(π/2) in floating point is 6e-17, not 0.
    expect(largestDifference(rotated, [-10, 2, 1, 20])).toBeLessThan(1e-14);
  });

  it("interleaved turns the pair (0, 1)", () => {
    const options = { tables: quarterTurn, heads: 1, headDim: 4, layout: "interleaved" as const };
    const rotated = applyRope(new Float64Array([1, 2, 10, 20]), options);
    expect(largestDifference(rotated, [-2, 1, 10, 20])).toBeLessThan(1e-14);
  });

  it("passes dims beyond the rotary ones through", () => {
    const rotated = applyRope(new Float64Array([1, 2, 10, 20, 5, 6]), {
      tables: quarterTurn,
      heads: 1,
      headDim: 6,
    });
    expect(Array.from(rotated.subarray(4))).toEqual([5, 6]);
  });
});

describe("applyRope against ONNX Runtime's RotaryEmbedding", () => {
  it.each(vectors)("$name", ({ layout, heads, headDim, rotaryDim, positions, x, y }) => {
    const tables = ropeTables({ inverseFrequencies: standardFrequencies(rotaryDim), positions });
    const options = { tables, heads, headDim, layout: layout as RopeLayout };
    // ONNX Runtime rounds each product to float32: 2 units in the last place of numbers below 2.
    expect(largestDifference(applyRope(Float32Array.from(x), options), y)).toBeLessThan(2.4e-7);
  });
});

describe("applyRope properties", () => {
  const shapes = fc.record({
    layout: layouts,
    heads: fc.integer({ min: 1, max: 3 }),
    half: fc.integer({ min: 1, max: 4 }),
    rest: fc.integer({ min: 0, max: 3 }),
    positions: fc.array(positions, { minLength: 1, maxLength: 4 }),
    attentionScaling: fc.double({ min: 0.5, max: 2, noNaN: true }),
  });
  const cases = shapes.chain((shape) => {
    const headDim = 2 * shape.half + shape.rest;
    return numbers(shape.positions.length * shape.heads * headDim).map((x) => ({ ...shape, headDim, x }));
  });

  it("equals the complex exponential", () => {
    fc.assert(
      fc.property(cases, ({ x, half, ...shape }) => {
        const inverseFrequencies = standardFrequencies(2 * half);
        const tables = ropeTables({ ...shape, inverseFrequencies, dtype: "float64" });
        const expected = rotateNaively(x, { ...shape, inverseFrequencies });
        expect(largestDifference(applyRope(x, { ...shape, tables }), expected)).toBeLessThan(
          4 * float64Tolerance,
        );
      }),
    );
  });

  it("preserves the norm", () => {
    fc.assert(
      fc.property(cases, ({ x, half, positions: at, ...shape }) => {
        const tables = ropeTables({
          inverseFrequencies: standardFrequencies(2 * half),
          positions: at,
          dtype: "float64",
        });
        const rotated = applyRope(x, { ...shape, tables });
        expect(Math.abs(dot(rotated, rotated) - dot(x, x))).toBeLessThan(x.length * 4 * float64Tolerance);
      }),
    );
  });

  it("makes scores depend on the distance only", () => {
    fc.assert(
      fc.property(
        numbers(8),
        numbers(8),
        positions,
        positions,
        positions,
        layouts,
        (q, k, m, n, shift, layout) => {
          const at = (x: Float64Array, position: number) => {
            const inverseFrequencies = standardFrequencies(8);
            const tables = ropeTables({ inverseFrequencies, positions: [position], dtype: "float64" });
            return applyRope(x, { tables, heads: 1, headDim: 8, layout });
          };
          const moved = dot(at(q, m + shift), at(k, n + shift));
          // Angles up to 2e5 radians are rounded to 3e-11 before the functions see them.
          expect(Math.abs(dot(at(q, m), at(k, n)) - moved)).toBeLessThan(1e-9);
        },
      ),
    );
  });
});

describe("applyRope arrays", () => {
  const tables = ropeTables({ inverseFrequencies: new Float64Array([1]), length: 2 });
  const x = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8);

  it("leaves its input alone", () => {
    const before = x.slice();
    const rotated = applyRope(x, { tables, heads: 2, headDim: 2 });
    expect(x).toEqual(before);
    expect(rotated.buffer).not.toBe(x.buffer);
  });

  it("writes to out, which may be the input or overlap it", () => {
    const expected = applyRope(x, { tables, heads: 2, headDim: 2 });
    const out = new Float32Array(8);
    expect(applyRope(x, { tables, heads: 2, headDim: 2, out })).toBe(out);
    expect(out).toEqual(expected);
    const inPlace = x.slice();
    applyRope(inPlace, { tables, heads: 2, headDim: 2, out: inPlace });
    expect(inPlace).toEqual(expected);
    const wide = Float32Array.of(...x, 0, 0);
    applyRope(wide.subarray(0, 8), { tables, heads: 2, headDim: 2, out: wide.subarray(2) });
    expect(wide.subarray(2)).toEqual(expected);
  });

  it("repeats the tables over leading axes", () => {
    const twice = applyRope(Float32Array.of(...x, ...x), { tables, heads: 2, headDim: 2 });
    const once = applyRope(x, { tables, heads: 2, headDim: 2 });
    expect(twice).toEqual(Float32Array.of(...once, ...once));
  });

  it("takes heads first as more leading axes", () => {
    const headsFirst = Float32Array.of(1, 2, 5, 6, 3, 4, 7, 8);
    const rotated = applyRope(headsFirst, { tables, heads: 1, headDim: 2 });
    const expected = applyRope(x, { tables, heads: 2, headDim: 2 });
    expect(rotated.subarray(0, 4)).toEqual(
      Float32Array.of(expected[0]!, expected[1]!, expected[4]!, expected[5]!),
    );
  });

  it("takes no tokens", () => {
    const none = ropeTables({ inverseFrequencies: new Float64Array([1]), length: 0 });
    expect(applyRope(new Float32Array(0), { tables: none, heads: 2, headDim: 2 })).toHaveLength(0);
  });

  it("keeps NaN and infinity within their pair", () => {
    const one = ropeTables({ inverseFrequencies: new Float64Array([1, 1]), positions: [1] });
    const rotated = applyRope(Float32Array.of(Number.NaN, 2, 3, 4), { tables: one, heads: 1, headDim: 4 });
    expect(Array.from(rotated, Number.isNaN)).toEqual([true, false, true, false]);
  });

  it("refuses what does not fit", () => {
    const wide = ropeTables({ inverseFrequencies: new Float64Array(2), length: 2 });
    const attempt = (options: Partial<applyRope.Options<Float32Array>>) => () =>
      applyRope(x, { tables, heads: 2, headDim: 2, ...options });
    expect(attempt({ heads: 3 })).toThrow(
      /x to hold a multiple of 12 numbers \(\[\.\.\., tokens, heads, headDim\]\), found 8/,
    );
    expect(attempt({ heads: 0 })).toThrow(/heads to be a whole number of at least 1, found 0/);
    expect(attempt({ tables: wide })).toThrow(/rotaryDim to be even and at most headDim \(2\), found 4/);
    expect(attempt({ out: new Float32Array(7) })).toThrow(/out to hold 8 numbers \(as x\), found 7/);
    expect(attempt({ layout: "spiral" as RopeLayout })).toThrow(
      /"half-split" or "interleaved", found spiral/,
    );
  });
});
