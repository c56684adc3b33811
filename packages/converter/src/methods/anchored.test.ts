import {
  blockDiagonal,
  createMatrix,
  type Matrix,
  meanOf,
  multiply,
  obliqueBasis,
  plainProducts,
  projector,
  transposeMultiply,
} from "@kvfold/linalg";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expectedCost } from "../../test/support/expected-cost.js";
import { largestDifference } from "../../test/support/numbers.js";
import { momentsOfRows, randomGroup, randomJointGroup, randomRows } from "../../test/support/random-group.js";
import { anchored } from "./anchored.js";
import { localKeyMetric } from "./joint-metric.js";
import type { JointBasis, JointGroup } from "./method.js";
import { outputMetric } from "./metrics.js";
import { random } from "./random.js";
import { temperEach, temperWithinLayer } from "./tempering.js";

const shape = { span: 2, headDim: 4, rank: 6 };
const basisOf = (group: JointGroup): Promise<JointBasis> => anchored.joint!(group, plainProducts);
const seeds = fc.integer({ min: 0, max: 1000 });

/** The rows behind the moments of a random group, about the offset. */
function centredRows(offset: Float64Array | undefined, seed: number): Matrix {
  const rows = randomRows(60, 16, seed);
  return createMatrix(
    rows.rows,
    rows.cols,
    rows.data.map((value, at) => value - (offset?.[at % 16] ?? 0)),
  );
}

describe("a joint latent", () => {
  it("costs the layer's output less than a random one", async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const group = randomJointGroup(shape, seed);
        const basis = await basisOf(group);
        const metric = blockDiagonal([...localKeyMetric(group), await outputMetric(group, plainProducts)]);
        const rows = centredRows(basis.offset, seed);
        const moment = transposeMultiply(rows, rows);
        const other = await random.basis!(randomGroup({ span: 2, headDim: 8, rank: 6 }, seed), plainProducts);
        expect(expectedCost(basis, moment, metric)).toBeLessThan(expectedCost(other, moment, metric));
      }),
      { numRuns: 20 },
    );
  });

  it("leaves out the means that may go, and no others", async () => {
    const group = randomJointGroup(shape, 4);
    const { offset } = await basisOf(group);
    const mean = meanOf(group.moments()).data;
    expect(largestDifference(offset!, [...new Float64Array(8), ...mean.slice(8)])).toBeLessThan(1e-12);
    const kept = await basisOf({ ...group, mayCentre: group.mayCentre.map(() => false) });
    expect(kept.offset).toBeUndefined();
  });

  it("holds numbers of unit variance that are not correlated", async () => {
    const { encode, offset } = await basisOf(randomJointGroup(shape, 5));
    const { gram, count } = momentsOfRows(multiply(centredRows(offset, 5), encode));
    const expected = Float64Array.from({ length: 36 }, (_, at) => (at % 7 === 0 ? 1 : 0));
    expect(
      largestDifference(
        gram.map((value) => value / count),
        expected,
      ),
    ).toBeLessThan(1e-9);
  });

  it("does not depend on the size of keys", async () => {
    const group = randomJointGroup(shape, 7);
    // Keys a million times as large, of scores that weigh a millionth.
    const size = Float64Array.from({ length: 16 }, (_, column) => (column < 8 ? 1e6 : 1));
    const { sum, gram, ...rest } = group.moments();
    const large = {
      ...rest,
      sum: sum.map((value, column) => value * size[column]!),
      gram: gram.map((value, at) => value * size[Math.floor(at / 16)]! * size[at % 16]!),
    };
    const keyGains = group.keyGains.map((gain) => gain * 1e-6);
    const own = projector(await basisOf(group));
    const other = projector(await basisOf({ ...group, moments: () => large, keyGains }));
    const back = other.data.map((value, at) => (value * size[Math.floor(at / 16)]!) / size[at % 16]!);
    expect(largestDifference(back, own.data)).toBeLessThan(1e-6);
  });

  it("costs the loss least where errors are weighed by it, keys against values", async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const gradients = randomRows(60, 16, seed + 20);
        const metric = transposeMultiply(gradients, gradients);
        const basis = await basisOf({ ...randomJointGroup(shape, seed), lossMetric: () => metric });
        const rows = centredRows(basis.offset, seed);
        const covariance = transposeMultiply(rows, rows);
        const best = await obliqueBasis({
          covariance,
          metric,
          rank: 6,
          floor: 1e-12,
          products: plainProducts,
        });
        const least = expectedCost(best, covariance, metric);
        // The floor under the metric is another.
        expect(expectedCost(basis, covariance, metric) / least).toBeLessThan(1.01);
        const plain = await basisOf(randomJointGroup(shape, seed));
        expect(expectedCost(plain, covariance, metric)).toBeGreaterThan(least);
      }),
      { numRuns: 10 },
    );
  });

  it("weighs keys by what scores and a norm behind the rotation multiply them by", () => {
    const group = randomJointGroup(shape, 6);
    const [plain] = localKeyMetric(group);
    const [scaled] = localKeyMetric({ ...group, keyGains: group.keyGains.map((gain) => 3 * gain) });
    const [normed] = localKeyMetric({ ...group, normGains: new Float64Array(8).fill(2) });
    expect(
      largestDifference(
        scaled!.data,
        plain!.data.map((value) => 9 * value),
      ),
    ).toBeLessThan(1e-9);
    expect(
      largestDifference(
        normed!.data,
        plain!.data.map((value) => 4 * value),
      ),
    ).toBeLessThan(1e-9);
  });
});

describe("tempering within a layer", () => {
  const heads = [
    { mean: 1, total: 3 },
    { mean: 16, total: 2 },
    { mean: 0, total: 0 },
  ];

  it("keeps the ratios of heads by themselves, and the layer's total", () => {
    const [each, within] = [temperEach(heads), temperWithinLayer(heads)];
    expect(within[1]! / within[0]!).toBeCloseTo(each[1]! / each[0]!, 12);
    expect(each[1]! / each[0]!).toBeCloseTo(0.5, 12);
    const total = heads.reduce((sum, head, index) => sum + head.total * within[index]!, 0);
    expect(total).toBeCloseTo(5, 12);
  });

  it("leaves a layer alone whose scores do nothing", () => {
    expect(temperWithinLayer([{ mean: 0, total: 0 }])).toEqual([1]);
  });
});
