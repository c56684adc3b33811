import { expect, it } from "vitest";
import { timeLeft } from "./time-left.js";

it("counts from the second step on, whatever the first took", () => {
  const times = [60_000, 62_000, 66_000];
  const left = timeLeft(() => times.shift()!);
  expect([left(1, 11), left(2, 11), left(3, 11)]).toEqual([undefined, 18, 24]);
});
