import {
  blockDiagonal,
  covariance,
  meanOf,
  multiply,
  plainProducts,
  projector,
  secondMoment,
} from "@kvfold/linalg";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expectedCost } from "../../test/support/expected-cost.js";
import { largestDifference } from "../../test/support/numbers.js";
import { randomGroup } from "../../test/support/random-group.js";
import { latent } from "./latent.js";
import type { Basis, Group, Method } from "./method.js";
import { outputMetric, scoreMetric } from "./metrics.js";
import { random } from "./random.js";
import { svdA } from "./svd-a.js";

const shape = { span: 2, headDim: 8, rank: 8 };
const basisOf = (method: Method, group: Group): Promise<Basis> => method.basis!(group, plainProducts);
const seeds = fc.integer({ min: 0, max: 1000 });

const keyCost = (basis: Basis, group: Group) =>
  expectedCost(basis, covariance(group.moments()), blockDiagonal(scoreMetric(group)));

describe("latent keys", () => {
  it("cost the scores less than any other basis, the mean key set aside", async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const group = randomGroup(shape, seed);
        const cost = keyCost(await basisOf(latent, group), group);
        for (const other of [svdA, random])
          expect(cost).toBeLessThanOrEqual((1 + 1e-9) * keyCost(await basisOf(other, group), group));
      }),
      { numRuns: 20 },
    );
  });

  it("have no constant: softmax ignores what all keys share", async () => {
    expect((await basisOf(latent, randomGroup(shape))).offset).toBeUndefined();
  });
});

describe("latent values", () => {
  const values = (seed: number, change: Partial<Group> = {}) =>
    randomGroup(shape, seed, { side: "values", ...change });

  it("pass the mean value through unharmed, by a constant", async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const group = values(seed);
        const basis = await basisOf(latent, group);
        const mean = meanOf(group.moments());
        const decoded = multiply(mean, projector(basis)).data.map((value, i) => value + basis.offset![i]!);
        expect(largestDifference(decoded, mean.data)).toBeLessThan(1e-9);
      }),
      { numRuns: 20 },
    );
  });

  it("cost the layer's output less than any other basis", async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const group = values(seed);
        const metric = await outputMetric(group, plainProducts);
        const cost = (basis: Basis) => expectedCost(basis, covariance(group.moments()), metric);
        for (const other of [svdA, random])
          expect(cost(await basisOf(latent, group))).toBeLessThanOrEqual(
            (1 + 1e-6) * cost(await basisOf(other, group)),
          );
      }),
      { numRuns: 20 },
    );
  });

  it("keep the mean in the moment where no constant is allowed", async () => {
    const group = values(1, { outputBias: false });
    const basis = await basisOf(latent, group);
    expect(basis.offset).toBeUndefined();
    const metric = await outputMetric(group, plainProducts);
    const cost = (candidate: Basis) => expectedCost(candidate, secondMoment(group.moments()), metric);
    expect(cost(basis)).toBeLessThan(cost(await basisOf(latent, values(1))));
  });
});
