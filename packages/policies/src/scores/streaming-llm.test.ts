import { describe, expect, it } from "vitest";
import { bestIndices } from "./best-indices.js";
import { streamingLlmScores } from "./streaming-llm.js";

describe("streamingLlmScores", () => {
  it.each([
    [10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    [6, [0, 1, 2, 3, 8, 9]],
    [4, [0, 1, 2, 3]],
    [2, [0, 1]],
  ])("keeps %i of 10 tokens: sinks and the latest", (count, kept) => {
    expect(Array.from(bestIndices(streamingLlmScores({ tokens: 10 }), count))).toEqual(kept);
  });

  it("takes texts shorter than the sinks", () => {
    expect(Array.from(bestIndices(streamingLlmScores({ tokens: 3 }), 2))).toEqual([0, 1]);
  });
});
