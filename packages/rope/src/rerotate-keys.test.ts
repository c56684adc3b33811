import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { largestDifference, layouts, numbers, positions, standardFrequencies } from "../test/reference.js";
import { applyRope } from "./apply-rope.js";
import { rerotateKeys, rerotationTables } from "./rerotate-keys.js";
import { ropeParameters } from "./rope-config.js";
import { ropeFrequencies } from "./rope-frequencies.js";
import { ropeTables } from "./rope-tables.js";

/** Angles up to 1e5 radians carry 1.5e-11 of rounding each; values are below 2. */
const tolerance = 1e-10;
const shape = { heads: 2, headDim: 10 };
const tokens = fc.array(fc.tuple(positions, positions), { minLength: 3, maxLength: 3 });

const yarn = ropeParameters({
  head_dim: 10,
  partial_rotary_factor: 0.8,
  rope_scaling: { rope_type: "yarn", factor: 8, original_max_position_embeddings: 256 },
});
const dynamic = ropeParameters({
  head_dim: 10,
  partial_rotary_factor: 0.8,
  max_position_embeddings: 1024,
  rope_scaling: { rope_type: "dynamic", factor: 2 },
});

describe("rerotateKeys", () => {
  it.each([
    ["unscaled", { inverseFrequencies: standardFrequencies(8), attentionScaling: 1 }],
    ["yarn", ropeFrequencies(yarn)],
  ])("equals rotating to the new positions in the first place: %s", (_, frequencies) => {
    fc.assert(
      fc.property(numbers(60), tokens, layouts, (x, moves, layout) => {
        const at = (where: readonly number[]) =>
          applyRope(x, {
            ...shape,
            layout,
            tables: ropeTables({ ...frequencies, positions: where, dtype: "float64" }),
          });
        const [from, to] = [moves.map(([before]) => before), moves.map(([, after]) => after)];
        const deltas = moves.map(([before, after]) => after - before);
        const { inverseFrequencies } = frequencies;
        const moved = rerotateKeys(at(from), { ...shape, layout, inverseFrequencies, deltas });
        expect(largestDifference(moved, at(to))).toBeLessThan(tolerance);
      }),
    );
  });

  it("would count the attention scaling twice if tables carried it", () => {
    const frequencies = ropeFrequencies(yarn);
    const keys = Float64Array.from({ length: 20 }, () => 1);
    const scaled = applyRope(keys, {
      ...shape,
      tables: ropeTables({ ...frequencies, positions: [0], dtype: "float64" }),
    });
    expect(frequencies.attentionScaling).toBeGreaterThan(1.2);
    expect(scaled[0]).toBe(frequencies.attentionScaling);
    const kept = rerotateKeys(scaled, {
      ...shape,
      inverseFrequencies: frequencies.inverseFrequencies,
      deltas: [0],
    });
    expect(kept).toEqual(scaled);
  });

  it("writes to out, in place too", () => {
    const keys = Float32Array.of(1, 2);
    const options = { inverseFrequencies: new Float64Array([1]), deltas: [1], heads: 1, headDim: 2 };
    const expected = rerotateKeys(keys, options);
    expect(rerotateKeys(keys, { ...options, out: keys })).toBe(keys);
    expect(keys).toEqual(expected);
  });
});

describe("rerotationTables", () => {
  it("moves keys from one set of frequencies to another", () => {
    fc.assert(
      fc.property(numbers(20), positions, positions, (x, before, after) => {
        const short = { ...ropeFrequencies(dynamic, 1024), positions: [before] };
        const long = { ...ropeFrequencies(dynamic, 5000), positions: [after] };
        const rotate = (tables: ReturnType<typeof ropeTables<"float64">>) => (keys: Float64Array) =>
          applyRope(keys, { ...shape, tables });
        const cached = rotate(ropeTables({ ...short, dtype: "float64" }))(x);
        const moved = rotate(rerotationTables({ from: short, to: long, dtype: "float64" }))(cached);
        expect(largestDifference(moved, rotate(ropeTables({ ...long, dtype: "float64" }))(x))).toBeLessThan(
          tolerance,
        );
      }),
    );
  });

  it("takes a rotation and its attention scaling off", () => {
    const from = { ...ropeFrequencies(yarn), positions: [77] };
    const to = { ...from, positions: [0], attentionScaling: 1 };
    const x = Float64Array.from({ length: 20 }, (_, index) => index / 20);
    const rotated = applyRope(x, { ...shape, tables: ropeTables({ ...from, dtype: "float64" }) });
    const tables = rerotationTables({ from, to, dtype: "float64" });
    // Scaled up by 1.2 and down again: 2 units in the last place of numbers below 1.
    expect(largestDifference(applyRope(rotated, { ...shape, tables }), x)).toBeLessThan(1e-15);
  });

  it("refuses sides that do not match", () => {
    const from = { inverseFrequencies: new Float64Array(2), attentionScaling: 1, positions: [1, 2] };
    expect(() => rerotationTables({ from, to: { ...from, positions: [1] } })).toThrow(
      /to\.positions to hold 2 numbers/,
    );
    const to = { ...from, inverseFrequencies: new Float64Array(3) };
    expect(() => rerotationTables({ from, to })).toThrow(/to\.inverseFrequencies to hold 2 numbers/);
    expect(() => rerotationTables({ from: { ...from, attentionScaling: 0 }, to: from })).toThrow(
      /attentionScaling/,
    );
  });
});
