import { plainProducts, projector } from "@kvfold/linalg";
import { commutesWithRope } from "@kvfold/rope/mixing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { largestDifference } from "../../test/support/numbers.js";
import { randomGroup } from "../../test/support/random-group.js";
import { commuting, commutingReallocated } from "./commuting.js";

const HEAD = 8;
const inverseFrequencies = Float64Array.of(1, 0.1, 0.01, 0.001);
const spans = fc.constantFrom(1, 2, 4);
const seeds = fc.integer({ min: 0, max: 1000 });

describe("commuting keys", () => {
  it("commute with RoPE, in and out: the fold may stand before the rotation", async () => {
    await fc.assert(
      fc.asyncProperty(spans, seeds, async (span, seed) => {
        const { encode, decode } = await commuting.basis!(
          randomGroup({ span, headDim: HEAD, rank: HEAD }, seed),
          plainProducts,
        );
        const options = { headDim: HEAD, inverseFrequencies };
        expect(commutesWithRope(encode.data, { headsIn: span, headsOut: 1, ...options })).toBe(true);
        expect(commutesWithRope(decode.data, { headsIn: 1, headsOut: span, ...options })).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  it("use the model's own rotation: slot j turns with frequency j", async () => {
    const { slots } = await commuting.basis!(
      randomGroup({ span: 2, headDim: HEAD, rank: HEAD }),
      plainProducts,
    );
    expect(slots).toEqual([0, 1, 2, 3]);
  });
});

describe("reallocated keys", async () => {
  const groups = [1, 2].map((seed) => randomGroup({ span: 2, headDim: HEAD, rank: HEAD }, seed));
  const bases = await commutingReallocated.bases!(groups, plainProducts);

  it("share a layer's slots, as many as there are pairs of numbers", () => {
    expect(bases[0]!.slots).toHaveLength(HEAD / 2);
    expect(bases[1]!.slots).toEqual(bases[0]!.slots);
  });

  it("keep no less energy than uniform ones", async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const group = randomGroup({ span: 2, headDim: HEAD, rank: HEAD }, seed);
        const [reallocated] = await commutingReallocated.bases!([group], plainProducts);
        const uniform = await commuting.basis!(group, plainProducts);
        expect(reallocated!.retained).toBeGreaterThanOrEqual(uniform.retained! - 1e-12);
      }),
      { numRuns: 20 },
    );
  });

  it("are projectors", () => {
    for (const basis of bases) {
      const p = projector(basis);
      const { encode, decode } = basis;
      const twice = projector({ encode: p, decode: p });
      expect([encode.cols, decode.rows]).toEqual([HEAD, HEAD]);
      expect(largestDifference(twice.data, p.data)).toBeLessThan(1e-9);
    }
  });
});
