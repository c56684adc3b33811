import {
  add,
  blockDiagonal,
  identity,
  type Matrix,
  multiply,
  plainProducts,
  scale,
  secondMoment,
  transpose,
} from "@kvfold/linalg";
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
/** Turns pairs `(j, j + 2)` of a head of eight numbers by so many quarters. */
function turn(quarters: readonly number[]): Matrix {
  const matrix = identity(8);
  for (const [j, quarter] of quarters.entries()) {
    const [cos, sin] = [[1, 0, -1, 0][quarter]!, [0, 1, 0, -1][quarter]!];
    matrix.data[j * 8 + j] = cos;
    matrix.data[j * 8 + j + 2] = -sin;
    matrix.data[(j + 2) * 8 + j] = sin;
    matrix.data[(j + 2) * 8 + j + 2] = cos;
  }
  return matrix;
}

const basisOf = (method: Method, group: Group) => method.basis!(group, plainProducts);

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
        expect(at(j)).toBeCloseTo((diagonal(j) + diagonal(j + headDim / 2)) / 2, 10);
      }
    }
  });

  it("weigh errors as queries do at all angles; what does not turn, as it is", () => {
    const group = randomGroup(shape, 3, { rotaryDim: 4 });
    const turns = [0, 1, 2, 3];
    // Quarter turns of each of the two pairs average second moments as all angles do.
    const angles = turns.flatMap((first) => turns.map((second) => [first, second]));
    for (const [head, metric] of scoreMetric(group).entries()) {
      const turned = angles.map((pair) => multiply(turn(pair), multiply(metric, transpose(turn(pair)))));
      const average = scale(turned.reduce(add), 1 / angles.length);
      expect(largestDifference(unrotatedScoreMetric(group)[head]!.data, average.data)).toBeLessThan(1e-9);
    }
  });

  it("are those of latent where nothing rotates", async () => {
    const group = randomGroup(shape, 1, { rotaryDim: 0 });
    const [own, other] = [await basisOf(latentPreRope, group), await basisOf(latent, group)];
    expect(largestDifference(own.encode.data, other.encode.data)).toBe(0);
  });
});

it("has the values of latent", async () => {
  const group = randomGroup(shape, 1, { side: "values" });
  expect(await basisOf(latentPreRope, group)).toEqual(await basisOf(latent, group));
});
