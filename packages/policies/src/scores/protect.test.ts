import { expect, it } from "vitest";
import { protect } from "./protect.js";

it("lifts a range above the best of all heads, the later tokens more", () => {
  const scores = Float32Array.of(1, 9, 9, 4, /* second head */ 2, 0, 0, 3);
  expect(Array.from(protect(scores, 4, 1, 3))).toEqual([1, 5, 6, 4, 2, 5, 6, 3]);
});
