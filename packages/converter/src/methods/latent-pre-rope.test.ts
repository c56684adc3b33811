import { blockDiagonal, plainProducts, secondMoment } from "@kvfold/linalg";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expectedCost } from "../../test/support/expected-cost.js";
import { largestDifference } from "../../test/support/numbers.js";
import { randomGroup } from "../../test/support/random-group.js";
import { latent } from "./latent.js";
import { latentPreRope, unrotatedScoreMetric } from "./latent-pre-rope.js";
import type { Group, Method } from "./method.js";
import { scoreMetric } from "./metrics.js";

const shape = { span: 2, headDim: 8, rank: 8 };
const basisOf = (method: Method, group: Group) => method.basis(group, plainProducts);

describe("keys before RoPE", () => {
  it("cost scores at all distances less than any other basis", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 1000 }), async (seed) => {
        const group = randomGroup(shape, seed);
        const moment = secondMoment(group.measured("keysBeforeRope"));
        const metric = blockDiagonal(unrotatedScoreMetric(group));
        const cost = async (method: Method) => expectedCost(await basisOf(method, group), moment, metric);
        expect(await cost(latentPreRope)).toBeLessThanOrEqual((1 + 1e-9) * (await cost(latent)));
      }),
      { numRuns: 20 },
    );
  });

  it("weigh both members of a pair alike, by what queries ask of the pair", () => {
    const group = randomGroup(shape);
    const { headDim } = group;
    for (const [head, metric] of unrotatedScoreMetric(group).entries()) {
      const asked = scoreMetric(group)[head]!;
      const at = (index: number) => metric.data[index * headDim + index]!;
      for (let j = 0; j < headDim / 2; j++) {
        expect(at(j)).toBe(at(j + headDim / 2));
        const diagonal = (index: number) => asked.data[index * headDim + index]!;
        expect(at(j)).toBeCloseTo(diagonal(j) + diagonal(j + headDim / 2), 10);
      }
    }
  });

  it("are those of latent where nothing rotates", async () => {
    const group = randomGroup(shape, 1, { rotated: false });
    const [own, other] = [await basisOf(latentPreRope, group), await basisOf(latent, group)];
    expect(largestDifference(own.encode.data, other.encode.data)).toBe(0);
  });
});

it("has the values of latent", async () => {
  const group = randomGroup(shape, 1, { side: "values" });
  expect(await basisOf(latentPreRope, group)).toEqual(await basisOf(latent, group));
});
