import { describe, expect, it } from "vitest";
import { gaussians } from "./gaussians.js";

const draw = (count: number, next: () => number) => Array.from({ length: count }, next);

describe("gaussians", () => {
  it("have mean 0 and variance 1", () => {
    const numbers = draw(20_000, gaussians(1));
    const mean = numbers.reduce((sum, value) => sum + value, 0) / 20_000;
    const square = numbers.reduce((sum, value) => sum + value ** 2, 0) / 20_000;
    // Standard deviations of the two: 0.007 and 0.01; five of each.
    expect(Math.abs(mean)).toBeLessThan(0.035);
    expect(Math.abs(square - 1)).toBeLessThan(0.05);
  });
});
