import { Float16Array } from "@petamoriken/float16";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { roundToHalves } from "./halves.js";

/** What another library rounds to. */
const expected = (bits: Uint32Array) =>
  withOneNaN(new Uint16Array(new Float16Array(new Float32Array(bits.buffer)).buffer));

function rounded(bits: Uint32Array): Uint16Array {
  const halves = new Uint16Array(bits.length);
  roundToHalves(bits, halves);
  return withOneNaN(halves);
}

/** A NaN stays one, but its lower bits may change. */
const withOneNaN = (halves: Uint16Array) => halves.map((bits) => ((bits & 0x7fff) > 0x7c00 ? 0x7e00 : bits));

describe("roundToHalves", () => {
  it("is right where float16 has its borders, one float32 to each side of every value and of every tie", () => {
    const halves = Uint16Array.from({ length: 2 ** 16 }, (_, pattern) => pattern);
    const values = Float32Array.from(new Float16Array(halves.buffer));
    const ties = values.map((value, index) => (value + (values[index + 1] ?? 0)) / 2);
    const centres = [...values, ...ties].filter((value) => !Number.isNaN(value));
    const bits = new Uint32Array(Float32Array.from(centres).buffer);
    const around = Uint32Array.from([...bits].flatMap((word) => [word - 1, word, word + 1]));
    const [ours, theirs] = [rounded(around), expected(around)];
    expect(around.findIndex((_, index) => ours[index] !== theirs[index])).toBe(-1);
  });

  it("is right for any bits, NaN included", () => {
    fc.assert(
      fc.property(fc.uint32Array({ minLength: 1, maxLength: 64 }), (bits) => {
        expect(rounded(bits)).toEqual(expected(bits));
      }),
      { numRuns: 300 },
    );
  });

  it("says when a finite number becomes infinite, and only then", () => {
    const overflows = (value: number) =>
      roundToHalves(new Uint32Array(Float32Array.of(value).buffer), new Uint16Array(1));
    expect([65504, 65519.99, Number.POSITIVE_INFINITY, Number.NaN].map(overflows)).toEqual(
      Array(4).fill(false),
    );
    expect([65520, -65520, 3e38].map(overflows)).toEqual([true, true, true]);
  });
});
