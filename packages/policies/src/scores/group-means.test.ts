import { expect, it } from "vitest";
import { groupMeans } from "./group-means.js";

it("averages query heads that lie side by side", () => {
  const ofQueryHeads = Float64Array.of(1, 2, 3, 4, /* next group */ 5, 6, 7, 8);
  expect(Array.from(groupMeans(ofQueryHeads, 2, 2))).toEqual([2, 3, 6, 7]);
});
