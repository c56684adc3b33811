import { createRandom } from "@kvfold/runtime";

/** Seeded choices: the same seed and case number make the same choices on every machine. */
export interface Choices {
  /** An integer in `[0, below)`. */
  int(this: void, below: number): number;
  pick<T>(this: void, list: readonly T[]): T;
  /** True with probability `share`. */
  chance(this: void, share: number): boolean;
}

/** The choices of one case. Cases do not depend on each other, so any of them can be run alone. */
export function createChoices(seed: number, index: number): Choices {
  const random = createRandom(Math.imul(seed, 0x9e3779b1) + index);
  const int = (below: number) => Math.floor(random() * below);
  return { int, pick: (list) => list[int(list.length)]!, chance: (share) => random() < share };
}
