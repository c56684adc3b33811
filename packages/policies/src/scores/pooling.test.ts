import { expect, it } from "vitest";
import { averagePool, maxPool } from "./pooling.js";

it("averages with zeros beyond the ends", () => {
  expect(Array.from(averagePool(Float64Array.of(3, 6, 9, 0), 3))).toEqual([3, 6, 5, 3]);
});

it("takes the largest neighbour", () => {
  expect(Array.from(maxPool(Float64Array.of(3, 6, 9, 0, 1, 1), 3))).toEqual([6, 9, 9, 9, 1, 1]);
});

it.each([averagePool, maxPool])("leaves scores alone with a kernel of one", (pool) => {
  expect(Array.from(pool(Float64Array.of(3, -6), 1))).toEqual([3, -6]);
});
