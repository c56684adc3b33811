import { type Budget, uniformBudget } from "../budget.js";
import { keepBest } from "../keep-best.js";
import type { Policy } from "../policy.js";

export declare namespace random {
  interface Options {
    /** Start of the random numbers, 0 unless given. */
    readonly seed?: number;
  }
}

/** Keeps tokens at random, for comparison: what any other policy has to beat. The same tokens every time. */
export const random = (budget: Budget, { seed = 0 }: random.Options = {}, name = "random"): Policy => ({
  name,
  action: "drop",
  afterPrefill: (layer) =>
    keepBest(
      layer,
      ({ heads }) =>
        heads.map(({ positions }, head) =>
          Float32Array.from(positions, (position) => hash(seed, layer.layer, head, position)),
        ),
      uniformBudget(budget),
    ),
});

/** A number from 0 to 1 that depends on all of `values`, by multiplying and mixing bits. */
function hash(...values: readonly number[]): number {
  let state = 0x9e3779b9;
  for (const value of values) {
    state = Math.imul(state ^ value, 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
    state ^= state >>> 16;
  }
  return (state >>> 0) / 2 ** 32;
}
