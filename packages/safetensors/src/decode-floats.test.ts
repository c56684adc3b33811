import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { catchError } from "../test/catch-error.js";
import { bytesSource } from "./byte-source.js";
import { decodeFloats, readFloats } from "./decode-floats.js";
import { type Dtype, dtypeBytes } from "./dtype.js";
import { type EncodedDtype, encodeFloats } from "./encode-floats.js";

const bytesOf = (...values: number[]) => Uint8Array.from(values);
const everyHalf = new Uint8Array(Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits).buffer);

/** IEEE 754-2019, section 3.4, for a format with so many exponent and fraction bits. */
function numberOf(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = bits >>> (exponentBits + fractionBits) === 0 ? 1 : -1;
  const exponent = (bits >>> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1)
    return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

/** Values of every kind: random bit patterns, among them NaN, infinities and subnormals. */
const anyFloats = fc
  .array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }))
  .map((bits) => new Float32Array(Int32Array.from(bits).buffer));

describe("decodeFloats", () => {
  it.each([
    ["F32", bytesOf(0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc1)],
    ["F16", bytesOf(0, 0x3c, 0, 0xc9)],
    ["BF16", bytesOf(0x80, 0x3f, 0x20, 0xc1)],
    ["F64", bytesOf(0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0x24, 0xc0)],
  ] as const)("reads 1 and -10 from %s, at any offset", (dtype, bytes) => {
    expect(decodeFloats(bytes, dtype)).toEqual(Float32Array.of(1, -10));
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect(decodeFloats(shifted.subarray(1), dtype)).toEqual(Float32Array.of(1, -10));
  });

  it.each([
    ["F16", 5, 10],
    ["BF16", 8, 7],
  ] as const)("is exact for all 65536 patterns of %s", (dtype, exponentBits, fractionBits) => {
    const expected = Float32Array.from({ length: 2 ** 16 }, (_, bits) =>
      numberOf(bits, exponentBits, fractionBits),
    );
    expect(decodeFloats(everyHalf, dtype)).toEqual(expected);
  });

  it("gives an array of its own", () => {
    const bytes = bytesOf(0, 0, 0x80, 0x3f);
    decodeFloats(bytes, "F32")[0] = 7;
    expect(bytes).toEqual(bytesOf(0, 0, 0x80, 0x3f));
  });

  it("reads a tensor in pieces, of one element beyond them too", async () => {
    const elements = 2 ** 22 + 1;
    const bytes = new Uint8Array(2 * elements);
    bytes.set([0x80, 0x3f], 0);
    bytes.set([0x20, 0xc1], 2 * (elements - 1));
    const reads: number[] = [];
    const source = {
      byteLength: bytes.length,
      read: async (start: number, end: number) => {
        reads.push(end - start);
        return bytes.subarray(start, end);
      },
    };
    const info = { name: "w", dtype: "BF16", shape: [elements], start: 0, end: bytes.length } as const;
    const values = await readFloats(source, info);
    expect([values.length, values[0], values[1], values.at(-1)]).toEqual([elements, 1, 0, -10]);
    expect(reads).toEqual([2 ** 23, 2]);
  });

  it("says that a tensor is larger than any array", async () => {
    const source = { byteLength: 2 ** 42, read: async () => new Uint8Array() };
    const info = { name: "w", dtype: "BF16", shape: [2 ** 41], start: 0, end: 2 ** 42 } as const;
    const error = await catchError(() => readFloats(source, info));
    expect(error.code).toBe("limit-exceeded");
    expect(error.message).toMatch(/tensor w: .* found 2199023255552 elements/);
  });

  it("refuses integers and broken elements, naming the tensor when it is known", async () => {
    expect((await catchError(() => decodeFloats(new Uint8Array(8), "I64"))).code).toBe("unsupported-dtype");
    expect((await catchError(() => decodeFloats(new Uint8Array(3), "BF16"))).message).toMatch(
      /whole BF16 elements, found 3/,
    );
    const info = { name: "w", dtype: "I32", shape: [1], start: 0, end: 4 } as const;
    expect((await catchError(() => readFloats(bytesSource(new Uint8Array(4)), info))).message).toMatch(
      /tensor w: .*found I32/,
    );
    const short = readFloats(bytesSource(new Uint8Array(3)), { ...info, dtype: "F32" });
    expect((await catchError(() => short)).code).toBe("truncated");
  });
});

describe("encodeFloats", () => {
  it("undoes decodeFloats for every half that is a number", () => {
    for (const dtype of ["F16", "BF16"] as const) {
      const values = decodeFloats(everyHalf, dtype);
      const bits = new Uint16Array(encodeFloats(values, dtype).buffer);
      expect(bits.every((value, index) => value === index || Number.isNaN(values[index]))).toBe(true);
      expect(decodeFloats(encodeFloats(values, dtype), dtype)).toEqual(values);
    }
  });

  it("keeps float32 bit for bit", () => {
    fc.assert(
      fc.property(anyFloats, (values) => {
        const bytes = new Uint8Array(values.buffer);
        expect(encodeFloats(values, "F32")).toEqual(bytes);
        expect(encodeFloats(decodeFloats(bytes, "F32"), "F32")).toEqual(bytes);
      }),
    );
  });

  it.each([
    ["F16", 1 + 2 ** -11, 1],
    ["F16", 1 + 3 * 2 ** -11, 1 + 2 ** -9],
    ["F16", 65519, 65504],
    ["F16", Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
    ["F16", 2 ** -25, 0],
    ["F16", 2 ** -25 * 1.5, 2 ** -24],
    ["BF16", 1 + 2 ** -8, 1],
    ["BF16", 1 + 3 * 2 ** -8, 1 + 2 ** -6],
    ["BF16", -(1 + 2 ** -8 + 2 ** -20), -(1 + 2 ** -7)],
    ["BF16", Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
    ["BF16", (2 - 2 ** -8 - 2 ** -23) * 2 ** 127, (2 - 2 ** -7) * 2 ** 127],
  ] as const)("rounds %s: %d to %d, ties to even", (dtype, value, expected) => {
    expect(decodeFloats(encodeFloats(Float32Array.of(value), dtype), dtype)[0]).toBe(expected);
  });

  it.each([
    ["F16", 1e5, "65504, the largest number of F16, found 100000"],
    ["F16", -65520, "65504, the largest number of F16, found -65520"],
    ["BF16", (2 - 2 ** -8) * 2 ** 127, "3.3895314e38, the largest number of BF16, found 3.396"],
    ["BF16", -3.4e38, "3.3895314e38, the largest number of BF16, found -3.39"],
  ] as const)("refuses for %s %d, which would become infinite", async (dtype, value, message) => {
    const values = Float32Array.of(1, Number.NaN, Number.POSITIVE_INFINITY, value);
    const error = await catchError(() => encodeFloats(values, dtype, { tensor: "w" }));
    expect(error.code).toBe("overflow");
    expect(error.message).toContain(`tensor w: expected magnitudes of at most ${message}`);
    expect(error.message).toMatch(/ at index 3; write it as F32$/);
    expect((await catchError(() => encodeFloats(values, dtype))).message).toMatch(/^encodeFloats: /);
  });

  it.each([
    ["F16", 0x7c00],
    ["BF16", 0x7f80],
  ] as const)("picks the nearest value of %s, and keeps NaN a NaN", (dtype, infinityBits) => {
    const overflow = dtype === "F16" ? 65520 : (2 - 2 ** -8) * 2 ** 127;
    const read = (bits: number) => decodeFloats(new Uint8Array(Uint16Array.of(bits).buffer), dtype)[0]!;
    const isWrong = (value: number, bits: number) => {
      const magnitude = bits & 0x7fff;
      if (Number.isNaN(value)) return magnitude <= infinityBits;
      // Only infinity becomes infinite; it has no distance to anything.
      if (magnitude === infinityBits) return Number.isFinite(value);
      const neighbours = magnitude === 0 ? [bits + 1] : [bits - 1, bits + 1];
      return neighbours.some((other) => Math.abs(read(other) - value) < Math.abs(read(bits) - value));
    };
    fc.assert(
      fc.property(anyFloats, (any) => {
        const values = any.filter((value) => !Number.isFinite(value) || Math.abs(value) < overflow);
        const encoded = new Uint16Array(encodeFloats(values, dtype).buffer);
        expect(values.filter((value, index) => isWrong(value, encoded[index]!))).toEqual(new Float32Array(0));
      }),
    );
  });

  it("reads a view into a larger buffer and refuses other dtypes", async () => {
    const view = Float32Array.of(9, 1, 9).subarray(1, 2);
    for (const dtype of ["F32", "F16", "BF16"] as const) {
      const bytes = encodeFloats(view, dtype);
      expect(bytes.byteLength).toBe(dtypeBytes(dtype));
      expect(decodeFloats(bytes, dtype)).toEqual(Float32Array.of(1));
    }
    const dtype = "I8" as Dtype as EncodedDtype;
    expect((await catchError(() => encodeFloats(view, dtype))).message).toMatch(/F32, F16 or BF16, found I8/);
  });
});
