import { describe, expect, it } from "vitest";
import { chunkBehind } from "./chunk-behind.js";

describe("chunkBehind", () => {
  it.each([
    { past: 0, chunk: 512, expected: 512 },
    { past: 1536, chunk: 512, expected: 512 },
    { past: 3584, chunk: 512, expected: 256 },
    { past: 130_560, chunk: 512, expected: 32 },
    { past: 130_560, chunk: 7, expected: 7 },
    { past: 0, chunk: 8192, expected: 2048 },
  ])("is $expected of $chunk behind $past tokens", ({ past, chunk, expected }) => {
    expect(chunkBehind(past, chunk)).toBe(expected);
  });

  it("bounds the scores of a long prompt", () => {
    for (let past = 0; past < 30_000; past += 999)
      expect(chunkBehind(past, 512) * (past + 512)).toBeLessThanOrEqual(512 * 2048);
  });
});
