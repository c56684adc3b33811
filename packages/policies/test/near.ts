import { expect } from "vitest";

/** Sums of a few float32 weights below 1: rounding moves them by less than 1e-6. */
export function expectNear(found: ArrayLike<number>, expected: readonly number[], tolerance = 1e-6): void {
  expect(found.length).toBe(expected.length);
  for (const [index, value] of expected.entries()) {
    const distance = Math.abs(found[index]! - value);
    expect(distance, `${index}: found ${found[index]}, expected ${value}`).toBeLessThan(tolerance);
  }
}
