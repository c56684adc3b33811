import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { positions } from "../test/reference.js";
import { ropeTables } from "./rope-tables.js";

describe("ropeTables", () => {
  it("holds one row per position from 0 on", () => {
    const tables = ropeTables({ inverseFrequencies: new Float64Array([1, 0.5]), length: 3 });
    expect(tables).toMatchObject({ length: 3, width: 2 });
    expect(tables.cos).toEqual(Float32Array.from([0, 0, 1, 0.5, 2, 1], Math.cos));
    expect(tables.sin).toEqual(Float32Array.from([0, 0, 1, 0.5, 2, 1], Math.sin));
  });

  it("takes positions in any order and from any kind of array", () => {
    const inverseFrequencies = new Float64Array([1, 0.1]);
    const whole = ropeTables({ inverseFrequencies, length: 8 });
    const picked = ropeTables({ inverseFrequencies, positions: Int32Array.of(7, 2) });
    expect(picked.cos).toEqual(Float32Array.of(...whole.cos.subarray(14, 16), ...whole.cos.subarray(4, 6)));
  });

  it("multiplies both by the attention scaling", () => {
    const inverseFrequencies = new Float64Array([0]);
    const { cos, sin } = ropeTables({ inverseFrequencies, length: 1, attentionScaling: 1.25 });
    expect([cos[0], sin[0]]).toEqual([1.25, 0]);
  });

  it("rounds the angle only once: far positions are as exact as near ones", () => {
    fc.assert(
      fc.property(positions, fc.double({ min: 1e-5, max: 1, noNaN: true }), (position, frequency) => {
        const { cos, sin } = ropeTables({
          inverseFrequencies: new Float64Array([frequency]),
          positions: [position],
        });
        // Half a unit in the last place of float32 at 1; the angle in float32 would be off by up to 4e-3 here.
        expect(Math.abs(cos[0]! - Math.cos(position * frequency))).toBeLessThan(2 ** -24);
        expect(Math.abs(sin[0]! - Math.sin(position * frequency))).toBeLessThan(2 ** -24);
      }),
    );
  });

  it("makes float64 tables on request", () => {
    const { cos } = ropeTables({
      inverseFrequencies: new Float64Array([1]),
      positions: [1],
      dtype: "float64",
    });
    expect(cos).toEqual(Float64Array.of(Math.cos(1)));
  });

  it("makes empty tables", () => {
    expect(ropeTables({ inverseFrequencies: new Float64Array([1]), length: 0 }).cos).toHaveLength(0);
    expect(ropeTables({ inverseFrequencies: new Float64Array(0), length: 2 })).toMatchObject({
      length: 2,
      width: 0,
    });
  });

  it.each([-1, 1.5, Number.NaN])("refuses a length of %d", (length) => {
    expect(() => ropeTables({ inverseFrequencies: new Float64Array([1]), length })).toThrow(
      /ropeTables: expected length to be a whole number of at least 0/,
    );
  });

  it("refuses an attention scaling that is not finite", () => {
    const options = { inverseFrequencies: new Float64Array([1]), length: 1, attentionScaling: Number.NaN };
    expect(() => ropeTables(options)).toThrow(/attentionScaling to be a finite number, found NaN/);
  });
});
