import { describe, expect, it } from "vitest";
import { blockedChunkAfter, chunkAfter, chunksAfter } from "./chunk-after.js";

describe("chunkAfter", () => {
  it.each([
    { past: 0, chunk: 512, expected: 512 },
    { past: 1536, chunk: 512, expected: 512 },
    { past: 3584, chunk: 512, expected: 256 },
    { past: 130_560, chunk: 512, expected: 32 },
    { past: 130_560, chunk: 7, expected: 7 },
    { past: 0, chunk: 8192, expected: 2048 },
  ])("is $expected of $chunk after $past tokens", ({ past, chunk, expected }) => {
    expect(chunkAfter(past, chunk)).toBe(expected);
  });

  it("bounds the scores of a long prompt", () => {
    for (let past = 0; past < 30_000; past += 999)
      expect(chunkAfter(past, 512) * (past + 512)).toBeLessThanOrEqual(512 * 2048);
  });
});

describe("blockedChunkAfter", () => {
  it.each([
    { past: 0, chunk: 512, expected: 512 },
    { past: 4096, chunk: 512, expected: 512 },
    { past: 8192, chunk: 512, expected: 1024 },
    { past: 6000, chunk: 512, expected: 750 },
    { past: 130_560, chunk: 512, expected: 1024 },
    { past: 130_560, chunk: 7, expected: 14 },
  ])("is $expected of $chunk after $past tokens", ({ past, chunk, expected }) => {
    expect(blockedChunkAfter(past, chunk)).toBe(expected);
  });
});

describe("chunksAfter", () => {
  const ends = (...args: Parameters<typeof chunksAfter>) => [...chunksAfter(...args)].map(({ end }) => end);

  it("are as long as each may be after the tokens before it", () => {
    expect(ends(0, 1200, { size: 512 })).toEqual([512, 1024, 1200]);
    expect(ends(3584, 600, { size: 512 })).toEqual([256, 496, 600]);
  });

  it("grow where attention is in blocks", () => {
    expect(ends(8000, 2500, { size: 512, inBlocks: true })).toEqual([1000, 2024, 2500]);
  });

  it("leave the last tokens together", () => {
    expect(ends(0, 41, { size: 16, last: 8 })).toEqual([16, 32, 41]);
    expect(ends(0, 35, { size: 16, last: 8 })).toEqual([16, 27, 35]);
    expect(ends(0, 41, { size: 16, last: 1000 })).toEqual([16, 25, 41]);
    expect(ends(0, 5, { size: 16, last: 8 })).toEqual([5]);
    // After so many tokens chunks have 32 each.
    expect(ends(130_560, 100, { size: 512, last: 64 })).toEqual([32, 36, 100]);
  });
});
