import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildFile, countingSource, headerOf } from "../test/build-file.js";
import { catchError } from "../test/catch-error.js";
import { type ByteSource, bytesSource } from "./byte-source.js";
import { readFloats } from "./decode-floats.js";
import { encodeFloats } from "./encode-floats.js";
import { MAX_HEADER_BYTES, MAX_MEMBER_COUNT } from "./limits.js";
import { parseHeader } from "./parse-header.js";
import { SafetensorsError } from "./safetensors-error.js";
import { serializeSafetensors } from "./serialize-safetensors.js";

const parse = (file: Uint8Array) => parseHeader(bytesSource(file));
const textFile = (text: string) => new TextEncoder().encode(text);
const failure = (file: Uint8Array) => catchError(() => parse(file));

describe("parseHeader", () => {
  it("gives absolute offsets, metadata and the start of the data", async () => {
    const header = '{"__metadata__":{"format":"pt"},"w":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]}}';
    const { tensors, metadata, dataStart } = await parse(buildFile(header, 4));
    expect(dataStart).toBe(8 + header.length);
    expect(metadata).toEqual({ format: "pt" });
    expect([...tensors]).toEqual([
      ["w", { name: "w", dtype: "F16", shape: [1, 2], start: dataStart, end: dataStart + 4 }],
    ]);
  });

  it("accepts what the format allows: no tensors, scalars, empty tensors, padding, null metadata", async () => {
    expect((await parse(buildFile("{}"))).tensors.size).toBe(0);
    expect((await parse(buildFile('{"__metadata__":null}  '))).metadata).toEqual({});
    const scalar = headerOf({ shape: [], data_offsets: [0, 4] });
    expect((await parse(buildFile(scalar, 4))).tensors.get("w")?.shape).toEqual([]);
    const empty = headerOf({ shape: [...Array<number>(30).fill(2 ** 53 - 1), 0], data_offsets: [0, 0] });
    expect((await parse(buildFile(empty))).tensors.get("w")?.start).toBe(8 + empty.length);
  });

  it("accepts tensors in any order of offsets", async () => {
    const entry = (start: number) => ({ dtype: "U8", shape: [1], data_offsets: [start, start + 1] });
    const { tensors } = await parse(buildFile(JSON.stringify({ b: entry(1), a: entry(0) }), 2));
    expect([...tensors.keys()]).toEqual(["b", "a"]);
  });

  it("lists tensors of dtypes that it does not know, whatever their shape", async () => {
    for (const dtype of ["F4", "F6_E2M3", "F8_E8M0", "C64", "F12"]) {
      const { tensors } = await parse(buildFile(headerOf({ dtype, shape: [3] }), 8));
      expect(tensors.get("w")).toMatchObject({ dtype, shape: [3] });
    }
  });

  it("treats __proto__ and names of Object.prototype as names like any other", async () => {
    const header =
      '{"__metadata__":{"__proto__":"x"},"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},' +
      '"toString":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}';
    const { tensors, metadata } = await parse(buildFile(header, 2));
    expect([...tensors.keys()]).toEqual(["__proto__", "toString"]);
    expect(Object.entries(metadata)).toEqual([["__proto__", "x"]]);
    expect(Object.getPrototypeOf(metadata)).toBe(Object.prototype);
  });

  it("is not misled by colons, quotes and braces within names", async () => {
    const name = 'a":{\\"b": "\\\\';
    const file = serializeSafetensors([{ name, dtype: "U8", shape: [1], data: Uint8Array.of(7) }], {
      "x:y": ':":',
    });
    expect([...(await parse(file)).tensors.keys()]).toEqual([name]);
  });

  it("reads the header only, and then only the tensor asked for", async () => {
    const values = Float32Array.of(1, 2, 3, 4);
    const data = encodeFloats(values, "F32");
    const file = serializeSafetensors(
      ["a", "b", "c"].map((name) => ({ name, dtype: "F32", shape: [4], data })),
    );
    const source = countingSource(file);
    const { tensors, dataStart } = await parseHeader(source);
    expect(source.reads).toEqual([
      [0, 8],
      [8, dataStart],
    ]);
    expect(await readFloats(source, tensors.get("b")!)).toEqual(values);
    expect(source.reads.slice(2)).toEqual([[dataStart + 16, dataStart + 32]]);
  });
});

describe("parseHeader refuses", () => {
  it.each([
    ["an empty file", new Uint8Array(0), "truncated", /8 bytes, found a file of 0/],
    ["a file without a whole length", new Uint8Array(7), "truncated", /found a file of 7/],
    [
      "a header cut short",
      buildFile("{}").subarray(0, 9),
      "truncated",
      /header of 2 bytes, found a file of 9/,
    ],
    ["a length of 2^63", buildFile("{}", 0, 2n ** 63n), "limit-exceeded", /at most 100000000/],
    ["a length of 2^64 - 1", buildFile("{}", 0, 2n ** 64n - 1n), "limit-exceeded", /at most/],
    [
      "a Git LFS pointer",
      textFile("version https://git-lfs.github.com/spec/v1"),
      "malformed",
      /git lfs pull/,
    ],
    ["half a Git LFS pointer", textFile("version https"), "limit-exceeded", /at most/],
    ["other text", textFile("version 2 of a file that is something else"), "limit-exceeded", /at most/],
    ["an empty header", buildFile(""), "malformed", /begin with \{/],
    ["text that is no JSON", buildFile("{"), "malformed", /expected JSON/],
    ["leading spaces", buildFile(" {}"), "malformed", /begin with \{, found " "/],
    ["a byte-order mark", buildFile("\ufeff{}"), "malformed", /begin with/],
    ["an array", buildFile("[]"), "malformed", /begin with/],
    ["bytes that are no UTF-8", buildFile(Uint8Array.of(0x7b, 0xff, 0x7d)), "malformed", /UTF-8/],
    ["an overlong encoding", buildFile(Uint8Array.of(0x7b, 0xc0, 0xa2, 0x7d)), "malformed", /UTF-8/],
    ["bytes after the last tensor", buildFile(headerOf({}), 9), "malformed", /end with its last tensor/],
    ["data without tensors", buildFile("{}", 1), "malformed", /end with its last tensor/],
    ["a tensor cut short", buildFile(headerOf({}), 7), "malformed", /tensor "w": .*within 7 bytes/],
  ] as const)("%s", async (_, file, code, message) => {
    const error = await failure(file);
    expect(error.message).toMatch(message);
    expect(error.code).toBe(code);
  });

  it.each([
    ["a dtype that is no name of one", { dtype: "F 32" }, /a name such as F32, found "F 32"/],
    ["a dtype of Object.prototype", { dtype: "toString" }, /a name such as F32/],
    ["a dtype that is no string", { dtype: ["F32"] }, /a name such as F32, found an array/],
    ["an unknown dtype with a bad shape", { dtype: "F4", shape: [-1] }, /dimension 0/],
    ["an unknown dtype with bad offsets", { dtype: "F4", data_offsets: [0, 9] }, /data_offsets/],
    ["an unknown dtype that leaves a hole", { dtype: "F4", data_offsets: [1, 8] }, /hole/],
    [
      "a missing dtype",
      { dtype: undefined },
      /exactly dtype, shape and data_offsets, found \{ "shape", "data_offsets" \}/,
    ],
    ["a field that nobody knows", { strides: [1] }, /exactly/],
    ["a shape that is no array", { shape: 2 }, /shape to be an array, found 2/],
    ["a negative dimension", { shape: [-2] }, /dimension 0 .*found -2/],
    ["a fractional dimension", { shape: [2, 1.5] }, /dimension 1 .*found 1.5/],
    ["a dimension of 2^63", { shape: [2 ** 63] }, /dimension 0 to be an integer below 2\^53/],
    ["dimensions whose product overflows 2^53", { shape: [2 ** 31, 2 ** 31] }, /found more than 2\^53/],
    [
      "dimensions whose product wraps 2^64 to the right size",
      { shape: [2 ** 32, 2 ** 31 + 1, 2] },
      /found more than 2\^53/,
    ],
    [
      "a shape that does not fit its offsets",
      { shape: [3] },
      /8 bytes as its offsets say, found 12 for F32 of \[3\]/,
    ],
    ["offsets that run backwards", { data_offsets: [8, 0] }, /data_offsets/],
    [
      "offsets beyond the file",
      { data_offsets: [0, 16], shape: [4] },
      /within 8 bytes of data, found \[0, 16\]/,
    ],
    ["offsets beyond 2^53", { data_offsets: [0, 2 ** 60] }, /data_offsets/],
    ["negative offsets", { data_offsets: [-8, 0] }, /data_offsets/],
    ["one offset", { data_offsets: [0] }, /data_offsets/],
    ["three offsets", { data_offsets: [0, 8, 8] }, /data_offsets/],
    ["offsets that are no array", { data_offsets: "08" }, /data_offsets .*found "08"/],
    [
      "a hole before the tensor",
      { data_offsets: [4, 8], shape: [1] },
      /start at byte \d+, found \d+ \(hole\)/,
    ],
  ])("%s", async (_, fields, message) => {
    const error = await failure(buildFile(headerOf(fields), 8));
    expect(error.code).toBe("malformed");
    expect(error.message).toMatch(message);
  });

  it("entries that are no objects", async () => {
    for (const entry of ["null", "1", "[]", '"x"']) {
      expect((await failure(buildFile(`{"w":${entry}}`))).message).toMatch(/tensor "w": expected an object/);
    }
  });

  it("metadata that is not all strings", async () => {
    expect((await failure(buildFile('{"__metadata__":{"a":1}}'))).message).toMatch(
      /"a" to be a string, found 1/,
    );
    expect((await failure(buildFile('{"__metadata__":[]}'))).message).toMatch(
      /__metadata__: expected an object/,
    );
  });

  it("tensors that overlap", async () => {
    const entry = (start: number, end: number) => ({
      dtype: "U8",
      shape: [end - start],
      data_offsets: [start, end],
    });
    const file = buildFile(JSON.stringify({ a: entry(0, 3), b: entry(2, 4) }), 4);
    expect((await failure(file)).message).toMatch(/tensor "b": .*\(overlap\)/);
    const twice = buildFile(JSON.stringify({ a: entry(0, 4), b: entry(0, 4) }), 4);
    expect((await failure(twice)).message).toMatch(/overlap/);
  });

  it("names that occur twice, of which JSON.parse would keep the last", async () => {
    const w = headerOf({}).slice(1, -1);
    for (const header of [
      `{${w},${w}}`,
      `{${w.replace('"dtype":"F32"', '"dtype":"F16","dtype":"F32"')}}`,
      `{"__metadata__":{"a":"1","a":"2"},${w}}`,
      `{"__metadata__":{},"__metadata__":{},${w}}`,
      `{${w},"\\u0077":${w.slice(4)}}`,
    ]) {
      expect((await failure(buildFile(header, 8))).message).toMatch(/unique names/);
    }
  });

  it("deep nesting, without overflowing the stack", async () => {
    const depth = 200_000;
    const header = headerOf({}).replace("[2]", "[".repeat(depth) + "]".repeat(depth));
    expect((await failure(buildFile(header, 8))).message).toMatch(
      /at most 3 levels of nesting, found 200002/,
    );
    expect((await failure(buildFile(headerOf({ shape: [[]] }), 8))).code).toBe("malformed");
  });

  it("more names than any model has", async () => {
    const header = `{${'"w":1,'.repeat(MAX_MEMBER_COUNT)}"w":1}`;
    expect((await failure(buildFile(header))).code).toBe("limit-exceeded");
  });

  it("with messages of bounded length", async () => {
    const long = "x".repeat(100_000);
    for (const header of [
      headerOf({ dtype: long }),
      `{"${long}":1}`,
      headerOf({ shape: Array(50_000).fill(1) }),
    ]) {
      expect((await failure(buildFile(header, 8))).message.length).toBeLessThan(400);
    }
  });

  it("too long a header before reading it", async () => {
    const source: ByteSource = {
      byteLength: 2 ** 40,
      read: async (start, end) => {
        expect(end - start).toBe(8);
        return buildFile("", 0, BigInt(MAX_HEADER_BYTES + 1));
      },
    };
    expect((await catchError(() => parseHeader(source))).code).toBe("limit-exceeded");
  });
});

/** Whether parsing ended in a header or in a `SafetensorsError`, and in nothing else. */
async function endsWell(file: Uint8Array): Promise<boolean> {
  try {
    return (await parse(file)).tensors instanceof Map;
  } catch (error) {
    return SafetensorsError.isInstance(error);
  }
}

describe("parseHeader survives", () => {
  it("any bytes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (file) => {
        expect(await endsWell(file)).toBe(true);
      }),
    );
  });

  it("any JSON", async () => {
    const files = fc.tuple(fc.json(), fc.nat(32)).map(([json, dataBytes]) => buildFile(json, dataBytes));
    await fc.assert(
      fc.asyncProperty(files, async (file) => {
        expect(await endsWell(file)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it("headers that are almost right", async () => {
    const number = fc.oneof(fc.nat(16), fc.constantFrom(-1, 0.5, 2 ** 31, 2 ** 53, 2 ** 63, 1e308));
    const fields = fc.record(
      {
        dtype: fc.constantFrom("F32", "BF16", "U8", "F99", "F4", null),
        shape: fc.array(number, { maxLength: 4 }),
        data_offsets: fc.array(number, { maxLength: 3 }),
        extra: fc.constant(0),
      },
      { requiredKeys: ["dtype", "shape"] },
    );
    const header = fc.dictionary(
      fc.constantFrom("a", "b", "__proto__", "__metadata__"),
      fc.oneof(fields, fc.jsonValue()),
    );
    const files = fc
      .tuple(header, fc.nat(32))
      .map(([json, dataBytes]) => buildFile(JSON.stringify(json), dataBytes));
    await fc.assert(
      fc.asyncProperty(files, async (file) => {
        expect(await endsWell(file)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("one byte changed in a good file, or its end cut off", async () => {
    const data = encodeFloats(Float32Array.of(1, 2), "F32");
    const good = serializeSafetensors([{ name: "w", dtype: "F32", shape: [2], data }], { a: "b" });
    const change = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), fc.nat(good.length));
    await fc.assert(
      fc.asyncProperty(change, async ([index, byte, length]) => {
        expect(await endsWell(good.with(index, byte))).toBe(true);
        expect((await failure(good.subarray(0, Math.min(length, good.length - 1)))).code).toMatch(
          /truncated|malformed/,
        );
      }),
      { numRuns: 300 },
    );
  });
});
