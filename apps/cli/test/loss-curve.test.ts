import { describe, expect, it } from "vitest";
import { JOINT_LAW, nextShare } from "../src/goals/loss-curve.js";

/** Shares in sixteenths; less and less energy is lost. */
const curve = Array.from({ length: 15 }, (_, index) => {
  const share = (index + 1) / 16;
  return { share, energy: (1 - share) ** 4 };
});
/** What a model of another scale loses. */
const lossOf = (scale: number) => (share: number) =>
  Math.expm1(scale * curve.find((point) => point.share === share)!.energy ** JOINT_LAW.power);

/** Folds until nothing is left to try. */
function search(scale: number, maxLoss: number) {
  const measure = lossOf(scale);
  const tried: { share: number; loss: number }[] = [];
  for (;;) {
    const share = nextShare(curve, { law: JOINT_LAW, tried, maxLoss });
    if (share === undefined) return tried;
    tried.push({ share, loss: measure(share) });
  }
}
/** The smallest share that meets the goal. */
const bestOf = (scale: number, maxLoss: number) =>
  curve.find(({ share }) => lossOf(scale)(share) <= maxLoss)?.share;

describe("nextShare", () => {
  it("finds the smallest share at once where the law holds", () => {
    const tried = search(JOINT_LAW.scale, 0.02);
    expect(tried.map(({ share }) => share)).toEqual([bestOf(JOINT_LAW.scale, 0.02)]);
  });

  it.each([0.1, 0.5, 3, 10])("finds it in two folds where the model loses %d times as much", (factor) => {
    const scale = JOINT_LAW.scale * factor;
    const tried = search(scale, 0.02);
    const met = Math.min(...tried.filter(({ loss }) => loss <= 0.02).map(({ share }) => share));
    expect(tried.length).toBeLessThanOrEqual(2);
    // A fold that is good enough is not made again for a little less cache.
    expect(0.75 * met).toBeLessThanOrEqual(bestOf(scale, 0.02)!);
  });

  it("goes up by a step at least, and ends where even the largest share loses too much", () => {
    const tried = search(1e9, 1e-6);
    expect(tried.at(-1)!.share).toBe(15 / 16);
    expect(tried.every(({ loss }) => loss > 1e-6)).toBe(true);
    expect(tried.map(({ share }) => share)).toEqual(
      [...new Set(tried.map(({ share }) => share))].sort((a, b) => a - b),
    );
  });
});
