import { describe, expect, it } from "vitest";
import { flag, float32, int32s, text, texts, uint32 } from "./metadata.js";
import { serializeHeader } from "./serialize-header.js";
import { placeTensors } from "./tensor-info.js";

const bytesOf = (hex: string): Uint8Array =>
  Uint8Array.from(Buffer.from(hex.replace(/\s+|#.*$/gm, ""), "hex"));

/** Written by hand from docs/gguf.md of ggml: every field by its width, little-endian. */
const expected = bytesOf(`
  47475546 03000000                  # "GGUF", version 3
  0200000000000000 0500000000000000  # two tensors, five entries
  0100000000000000 61                # "a"
  04000000 07000000                  # uint32 7
  0100000000000000 62                # "b"
  06000000 0000003f                  # float32 0.5
  0100000000000000 63                # "c"
  07000000 01                        # bool true
  0100000000000000 64                # "d"
  08000000 0300000000000000 e29681   # string of three bytes
  0100000000000000 65                # "e"
  09000000 05000000 0200000000000000 # array of two int32
  01000000 ffffffff                  # 1, -1
  0100000000000000 77                # tensor "w"
  02000000 2000000000000000 0300000000000000 # two dimensions, 32 in a row and 3 rows
  08000000 0000000000000000          # Q8_0, at 0
  0100000000000000 76                # tensor "v"
  01000000 0500000000000000          # one dimension of 5
  00000000 8000000000000000          # F32, at 128: 3 blocks of 34 bytes are 102
`);

describe("serializeHeader", () => {
  const metadata = { a: uint32(7), b: float32(0.5), c: flag(true), d: text("▁"), e: int32s([1, -1]) };
  const tensors = placeTensors([
    { name: "w", shape: [3, 32], type: "Q8_0" },
    { name: "v", shape: [5], type: "F32" },
  ]);

  it("writes the bytes that the specification asks for", () => {
    const header = serializeHeader(metadata, tensors);
    expect(Buffer.from(header.subarray(0, expected.length)).toString("hex")).toBe(
      Buffer.from(expected).toString("hex"),
    );
  });

  it("ends with zeros where tensor data may begin", () => {
    const padding = serializeHeader(metadata, tensors).subarray(expected.length);
    expect(padding).toEqual(new Uint8Array(-expected.length & 31));
  });

  it("states offsets beyond 4 GiB", () => {
    const wide = { shape: [151_936, 8192], type: "F32" } as const;
    const placed = placeTensors([
      { name: "a", ...wide },
      { name: "b", ...wide },
    ]);
    expect(placed[1]!.offset).toBe(4 * 151_936 * 8192);
    const header = serializeHeader({}, placed);
    // The last offset stands before the padding: magic to counts are 24 bytes, each tensor 9 + 4 + 16 + 4 + 8.
    expect(new DataView(header.buffer).getBigUint64(24 + 2 * 41 - 8, true)).toBe(BigInt(placed[1]!.offset));
  });

  it("grows with its vocabulary", () => {
    const tokens = Array.from({ length: 20_000 }, (_, id) => `token ${id}`);
    const header = serializeHeader({ tokens: texts(tokens) }, []);
    expect(Buffer.from(header).includes("token 19999")).toBe(true);
  });
});
