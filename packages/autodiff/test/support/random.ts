import type { Numbers } from "./run-model.js";

/** Numbers between `low` and `high`, the same for the same seed (a linear congruential generator). */
function uniform(seed: number, low = -1, high = 1): () => number {
  let state = (seed * 2654435761) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return low + ((high - low) * state) / 2 ** 32;
  };
}

/** A tensor of such numbers. */
export const randomNumbers = (
  dims: readonly number[],
  seed: number,
  [low, high]: readonly [number, number] = [-1, 1],
): Numbers => {
  const next = uniform(seed, low, high);
  const count = dims.reduce((product, size) => product * size, 1);
  // The first numbers of such a generator are alike for neighbouring seeds.
  for (let skip = 0; skip < 8; skip++) next();
  return { dims, data: Array.from({ length: count }, next) };
};
