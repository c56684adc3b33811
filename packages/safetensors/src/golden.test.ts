import { describe, expect, it } from "vitest";
import { bytesSource } from "./byte-source.js";
import { readFloats } from "./decode-floats.js";
import { parseHeader } from "./parse-header.js";

/**
 * A file written out by hand from the format's description, not by our writer: 8 bytes of length, JSON with
 * spaces and another order of fields than ours, padding, then BF16 [1, -2] and F16 [[0.5], [65504]].
 */
const header =
  '{ "__metadata__": { "format": "pt" },\n' +
  '  "\\u00e9": { "shape": [2, 1], "data_offsets": [4, 8], "dtype": "F16" },\n' +
  '  "b": { "dtype": "BF16", "shape": [2], "data_offsets": [0, 4] } }   ';

const golden = Uint8Array.from([
  header.length,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  ...Buffer.from(header, "latin1"),
  0x80,
  0x3f,
  0x00,
  0xc0,
  0x00,
  0x38,
  0xff,
  0x7b,
]);

describe("a file written by hand", () => {
  it("is read value for value", async () => {
    expect(header.length).toBeLessThan(256);
    const source = bytesSource(golden);
    const { tensors, metadata } = await parseHeader(source);
    expect(metadata).toEqual({ format: "pt" });
    expect(tensors.get("é")?.shape).toEqual([2, 1]);
    expect(await readFloats(source, tensors.get("é")!)).toEqual(Float32Array.of(0.5, 65504));
    expect(await readFloats(source, tensors.get("b")!)).toEqual(Float32Array.of(1, -2));
  });
});
