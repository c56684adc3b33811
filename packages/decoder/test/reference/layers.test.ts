import { expect, it } from "vitest";
import { activations } from "./layers.js";

// What lies beyond so many standard deviations on both sides of a normal distribution, from published tables.
it.each([
  [1, 0.317310507862914],
  [3, 0.002699796063260207],
  [5, 5.733031437583878e-7],
  [7, 2.5596249e-12],
])("gelu has the tail of a normal distribution at %d", (x, tails) => {
  expect(1 - activations.gelu(x) / x).toBeCloseTo(tails / 2, 14);
  expect(activations.gelu(-x)).toBeCloseTo((-x * tails) / 2, 13);
});
