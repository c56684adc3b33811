import { expect, it } from "vitest";
import { trySequence } from "../src/caches/try-sequence.js";

/** `node tooling/fuzz/caches.mjs` tries any number. */
const SEED = 1;
const SEQUENCES = 50;

it(`holds what a slow cache holds, in the first ${SEQUENCES} random sequences of seed ${SEED}`, async () => {
  const done = new Set<string>();
  for (let index = 0; index < SEQUENCES; index++)
    for (const act of await trySequence(SEED, index)) done.add(act);
  expect(done.size).toBe(10);
});
