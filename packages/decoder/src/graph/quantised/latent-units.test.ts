import { cacheCodings } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { codedShape } from "./coded-shape.js";
import { latentUnits } from "./latent-units.js";

const shape = codedShape({ heads: 1, size: 12 }, cacheCodings.int4);

describe("latentUnits", () => {
  it("gives a number the fourth root of what an error costs, over that of what varies", () => {
    const costs = Float32Array.from({ length: 12 }, (_, index) => (index === 1 ? 1 / 16 : 1));
    const means = new Float32Array(2 * 12);
    // Half of the mean square of number 2 is that of its means, of which one is 0.
    means[2] = 1;
    const { period, factors } = latentUnits(means, costs, shape);
    expect(period).toBe(2);
    // Fourth roots in float32.
    expect(factors[0]).toBeCloseTo(1, 6);
    expect(factors[1]).toBeCloseTo(1 / 2, 6);
    expect(factors[2]).toBeCloseTo(2 ** (1 / 4), 6);
  });

  it("stays finite for numbers that never vary or cost nothing", () => {
    const costs = new Float32Array(12);
    costs[0] = 1;
    const { factors } = latentUnits(new Float32Array(12).fill(1), costs, shape);
    expect(factors.every((factor) => factor > 0.01 && factor < 10)).toBe(true);
  });

  it("mixes by a power of two and an odd rest", () => {
    const { p, q } = latentUnits(new Float32Array(12), new Float32Array(12).fill(1), shape);
    expect([p, q]).toEqual([4, 3]);
  });
});
