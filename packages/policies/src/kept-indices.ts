import type { HeadChange } from "./policy.js";

/**
 * The tokens that stay of a head of so many, ascending, whichever way a change names them.
 *
 * @example
 * ```ts
 * import { keptIndices } from "@kvfold/policies";
 * Array.from(keptIndices({ dropped: Int32Array.of(1) }, 4)) // => [0, 2, 3]
 * ```
 */
export function keptIndices({ kept, dropped }: HeadChange, tokens: number): Int32Array {
  return kept ?? otherIndices(dropped!, tokens);
}

/** The indices below `count` that are not among some others, which ascend. A loop, since caches may need it at each step. */
export function otherIndices(indices: Int32Array, count: number): Int32Array {
  const others = new Int32Array(count - indices.length);
  for (let index = 0, next = 0, place = 0; index < count; index++)
    if (indices[next] === index) next++;
    else others[place++] = index;
  return others;
}
