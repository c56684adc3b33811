import { gaussians } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { decodeQ8 } from "../../test/support/read-gguf.js";
import { encodeQ8 } from "./encode-q8-0.js";

describe("encodeQ8", () => {
  it("writes a float16 scale and signed bytes for each block of 32", () => {
    const values = new Float32Array(64);
    values.set([127, -127, 1, -1, 0.4, -0.6]);
    values[63] = -63.5;
    const bytes = encodeQ8(values, "w");
    expect(bytes).toHaveLength(68);
    // 1 and 0.5 in float16; a byte is a value over the scale.
    expect([...bytes.subarray(0, 8)]).toEqual([0x00, 0x3c, 127, 256 - 127, 1, 255, 0, 255]);
    expect([...bytes.subarray(34, 36), bytes.at(-1)]).toEqual([0x00, 0x38, 256 - 127]);
  });

  it("is off by half a scale at most", () => {
    const next = gaussians(3);
    const values = Float32Array.from({ length: 32 * 200 }, (_, i) => next() * 10 ** ((i >> 5) % 7));
    const decoded = decodeQ8(encodeQ8(values, "w"), values.length);
    for (let block = 0; block < values.length; block += 32) {
      const largest = Math.max(...values.subarray(block, block + 32).map(Math.abs));
      // Half of the scale; where that was rounded down in float16, the largest value lies up to 2^-11 beyond 127 of it.
      const bound = largest * (0.5 / 127 + 2 ** -11);
      const errors = values
        .subarray(block, block + 32)
        .map((value, i) => Math.abs(decoded[block + i]! - value));
      expect(Math.max(...errors)).toBeLessThan(bound);
    }
  });

  it("keeps blocks of zeros, and refuses what no scale holds", () => {
    expect(encodeQ8(new Float32Array(32), "w")).toEqual(new Uint8Array(34));
    expect(() => encodeQ8(new Float32Array(32).fill(1e7), "blk.0.attn_q.weight")).toThrow(
      expect.objectContaining({ code: "overflow", message: expect.stringContaining("blk.0.attn_q.weight") }),
    );
  });
});
