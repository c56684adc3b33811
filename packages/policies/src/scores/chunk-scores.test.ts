import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chunkScores, highestChunks, maxOfChunk } from "./chunk-scores.js";

describe("chunkScores", () => {
  const scores = Float32Array.of(1, 5, 2, 3, 4);
  it("takes means, or maxima, and a last chunk as it is", () => {
    expect(Array.from(chunkScores(scores, 2))).toEqual([3, 2.5, 4]);
    expect(Array.from(chunkScores(scores, 2, maxOfChunk))).toEqual([5, 3, 4]);
  });
});

describe("highestChunks", () => {
  it("keeps whole chunks that fit, and what is after the last one", () => {
    const scores = Float32Array.of(1, 1, 3, 3, 2, 2, 0);
    const kept = (count: number) => Array.from(highestChunks({ scores, chunk: 2, count }));
    expect(kept(7)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(kept(6)).toEqual([2, 3, 4, 5, 6]);
    expect(kept(3)).toEqual([2, 3, 6]);
    expect(kept(0)).toEqual([6]);
  });

  it("keeps no more than asked, and everything of each chunk", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(),
        (list, chunk, choice) => {
          const count = choice % (list.length + 1);
          const kept = Array.from(highestChunks({ scores: Float32Array.from(list), chunk, count }));
          const rest = list.length % chunk;
          expect(kept.length).toBeLessThanOrEqual(Math.max(count, rest));
          expect(kept.length).toBeGreaterThan(count - chunk);
          const chunks = new Set(kept.map((slot) => Math.floor(slot / chunk)));
          expect(kept).toEqual(
            list.map((_, slot) => slot).filter((slot) => chunks.has(Math.floor(slot / chunk))),
          );
        },
      ),
    );
  });
});
