import { describe, expect, it } from "vitest";
import { cacheCodings } from "./cache-coding.js";
import { gaussians } from "./gaussians.js";
import { decodeRows, encodeRows } from "./quantised-rows.js";

const { int8, int4 } = cacheCodings;
const numbers = (count: number) => Float32Array.from({ length: count }, gaussians(1));

describe("quantised rows", () => {
  it("are as on paper: eight bits", () => {
    const { codes, scales } = encodeRows(Float32Array.of(127, -63.5, 0, 1, 0, 0, 0, 0), 4, int8);
    // Half to even: -63.5 becomes -64. Scales are 1 and the smallest there is, 2^-18, as float16.
    expect([...codes]).toEqual([255, 64, 128, 129, 128, 128, 128, 128]);
    expect([...scales]).toEqual([0x3c00, 0x0040]);
    expect([...decodeRows({ codes, scales }, int8)]).toEqual([127, -64, 0, 1, 0, 0, 0, 0]);
  });

  it("are as on paper: four bits of two numbers, turned by 45 degrees", () => {
    // (8, 16) turns to (24, -8) / sqrt(2). A step is an eighth of 24: -8 is 2.7 of them below 0, between 2 and 3, whose middle is
    // -2.5, and 24 is at the end of the last, whose middle is 7.5. Codes are these and 7.5.
    const { codes, scales } = encodeRows(Float32Array.of(8, 16), 2, int4);
    expect([...codes]).toEqual([0x5f]);
    // Turned back: (3 * 7.5 - 3 * 2.5) / 2 and (3 * 7.5 + 3 * 2.5) / 2. Float16 keeps 11 bits of the scale.
    const [first, second] = decodeRows({ codes, scales }, int4);
    expect(Math.abs(first! - 7.5)).toBeLessThan(8 * 2 ** -11);
    expect(Math.abs(second! - 15)).toBeLessThan(16 * 2 ** -11);
  });

  it.each([
    [64, "int8", int8, 1 / 254],
    [16, "int4", int4, 1 / 16],
    [12, "int4", int4, 1 / 16],
  ] as const)("differ by half a step at most: groups of %i, %s", (size, _, coding, halfStep) => {
    const rows = numbers(50 * size);
    const decoded = decodeRows(encodeRows(rows, size, coding), coding);
    for (let start = 0; start < rows.length; start += size) {
      const own = rows.subarray(start, start + size);
      const error = Math.hypot(...own.map((value, index) => value - decoded[start + index]!));
      // Rotated numbers are no larger than the length of the row; float16 scales add 2^-11 of a number.
      const largest = coding.isRotated ? Math.hypot(...own) : Math.max(...own.map(Math.abs));
      expect(error).toBeLessThan(Math.sqrt(size) * largest * (halfStep + 2 ** -11));
    }
  });

  it("of eight bits stay as they are when they are coded again", () => {
    const coded = encodeRows(numbers(640), 64, int8);
    expect(encodeRows(decodeRows(coded, int8), 64, int8)).toEqual(coded);
  });
});
