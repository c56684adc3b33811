import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { catchError } from "../test/catch-error.js";
import { bytesSource } from "./byte-source.js";
import { dtypeBytes } from "./dtype.js";
import { parseHeader } from "./parse-header.js";
import { serializeSafetensors, type TensorData } from "./serialize-safetensors.js";

const dtypes = [
  "F64",
  "F32",
  "F16",
  "BF16",
  "F8_E4M3",
  "F8_E5M2",
  "I64",
  "I32",
  "I16",
  "I8",
  "U64",
  "U32",
  "U16",
  "U8",
  "BOOL",
] as const;

const tensor = fc
  .record({
    name: fc.string({ unit: "grapheme" }),
    dtype: fc.constantFrom(...dtypes),
    shape: fc.array(fc.nat(3), { maxLength: 3 }),
    fill: fc.nat(255),
  })
  .map(({ fill, ...layout }): TensorData => {
    const bytes = layout.shape.reduce((product, dim) => product * dim, dtypeBytes(layout.dtype));
    return { ...layout, data: new Uint8Array(bytes).fill(fill) };
  });

const tensors = fc
  .uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 })
  .filter((list) => list.every(({ name }) => name !== "__metadata__"));

describe("serializeSafetensors", () => {
  it("writes the bytes of the specification", () => {
    const file = serializeSafetensors([
      { name: "w", dtype: "U8", shape: [2], data: Uint8Array.of(0xaa, 0xbb) },
    ]);
    // 53 characters of JSON, three spaces, data: written out by hand from the format's description.
    const json = '{"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}';
    const header = json.padEnd(56, " ");
    expect(Array.from(file)).toEqual([56, 0, 0, 0, 0, 0, 0, 0, ...Buffer.from(header, "latin1"), 0xaa, 0xbb]);
  });

  it("is undone by parseHeader, for every dtype, name and shape", async () => {
    await fc.assert(
      fc.asyncProperty(tensors, fc.dictionary(fc.string(), fc.string()), async (list, metadata) => {
        const file = serializeSafetensors(list, metadata);
        const header = await parseHeader(bytesSource(file));
        expect(header.dataStart % 8).toBe(0);
        expect(new Map(Object.entries(header.metadata))).toEqual(new Map(Object.entries(metadata)));
        expect(new Set(header.tensors.keys())).toEqual(new Set(list.map(({ name }) => name)));
        let offset = header.dataStart;
        for (const { name, dtype, shape, data } of list) {
          const end = offset + data.byteLength;
          expect(header.tensors.get(name)).toEqual({ name, dtype, shape, start: offset, end });
          expect(file.subarray(offset, end)).toEqual(data);
          offset = end;
        }
      }),
    );
  });

  it("refuses data that does not fit, repeated and reserved names, impossible shapes", async () => {
    const w = { name: "w", dtype: "F32", shape: [2], data: new Uint8Array(8) } as const;
    const message = async (...list: TensorData[]) =>
      (await catchError(() => serializeSafetensors(list))).message;
    expect(await message({ ...w, data: new Uint8Array(7) })).toMatch(/tensor w: expected 8 bytes .*found 7/);
    expect(await message(w, w)).toMatch(/tensor w: expected a name of its own/);
    expect(await message({ ...w, name: "__metadata__" })).toMatch(/name of its own/);
    expect(await message({ ...w, shape: [2 ** 40, 2 ** 40] })).toMatch(/fewer than 2\^53 bytes/);
    expect(await message({ ...w, shape: [-2] })).toMatch(/dimensions/);
  });
});
