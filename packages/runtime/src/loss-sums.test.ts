import { describe, expect, it } from "vitest";
import { meanOfSums, perplexityOfSums, positionRanges, sumChosen, sumPositions } from "./index.js";

describe("sums of losses", () => {
  const losses = Float64Array.of(1, 2, 4, 8);

  it("are over all tokens, positions or chosen tokens", () => {
    expect(sumPositions(losses)).toEqual({ total: 15, tokens: 4 });
    expect(sumPositions(losses, { start: 1, end: 3 })).toEqual({ total: 6, tokens: 2 });
    // A shorter window has fewer tokens of a range, or none.
    expect(sumPositions(losses, { start: 3, end: 64 })).toEqual({ total: 8, tokens: 1 });
    expect(sumPositions(losses, { start: 64, end: 128 })).toEqual({ total: 0, tokens: 0 });
    expect(sumChosen(losses, [0, 3])).toEqual({ total: 9, tokens: 2 });
  });

  it("make means that weigh tokens, not windows", () => {
    const sums = [
      { total: 6, tokens: 2 },
      { total: 0, tokens: 4 },
    ];
    expect(meanOfSums(sums)).toBe(1);
    expect(perplexityOfSums(sums)).toEqual({ nll: 1, perplexity: Math.E, tokens: 6 });
    expect(meanOfSums([])).toBeNaN();
  });
});

describe("positionRanges", () => {
  it.each([
    [0, []],
    [10, [[0, 10]]],
    [64, [[0, 64]]],
    [
      65,
      [
        [0, 64],
        [64, 65],
      ],
    ],
    [
      1024,
      [
        [0, 64],
        [64, 128],
        [128, 256],
        [256, 512],
        [512, 1024],
      ],
    ],
  ])("cuts %d positions at powers of two", (length, expected) => {
    expect(positionRanges(length).map(({ start, end }) => [start, end])).toEqual(expected);
  });
});
