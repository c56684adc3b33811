import { describe, expect, it } from "vitest";
import { gramBlocks, gramBlocksSize, unpackGram } from "./gram-blocks.js";

/** The upper block rows of a symmetric matrix with distinct entries, at the start of memory for the whole matrix. */
function packed(width: number): { gram: Float64Array; blocks: Float64Array } {
  const entry = (row: number, col: number) => Math.min(row, col) * width + Math.max(row, col);
  const gram = Float64Array.from({ length: width * width }, (_, i) =>
    entry(Math.floor(i / width), i % width),
  );
  const blocks: number[] = [];
  for (const { start, end } of gramBlocks(width)) {
    for (let row = start; row < end; row++)
      for (let col = start; col < width; col++) blocks.push(entry(row, col));
  }
  const room = new Float64Array(width * width);
  room.set(blocks);
  return { gram, blocks: room.subarray(0, blocks.length) };
}

describe("gramBlocks", () => {
  it.each([1, 255, 256, 257, 1408])("unpacks to the whole gram at width %i", (width) => {
    const { gram, blocks } = packed(width);
    expect(blocks.length).toBe(gramBlocksSize(width));
    const unpacked = unpackGram(blocks, width);
    expect(unpacked.buffer).toBe(blocks.buffer);
    // `toEqual` over two million numbers takes seconds.
    expect(unpacked.every((value, i) => value === gram[i])).toBe(true);
  });

  it("is the whole gram up to a width of 256, and spares more and more of it beyond", () => {
    expect(gramBlocksSize(256)).toBe(256 ** 2);
    expect(gramBlocksSize(2048) / 2048 ** 2).toBe(0.5625);
  });
});
