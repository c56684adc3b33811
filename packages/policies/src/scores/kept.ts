import { PolicyError } from "../policy-error.js";
import { requireShares } from "./head-rows.js";

/**
 * How many of `tokens` stay when the share `removed` of them goes: `int(tokens * (1 - removed))`, computed in float64 in
 * this order, as kvpress does. So 1000 tokens without 0.9 of them are 99.
 *
 * @throws {PolicyError} `invalid-argument` when `removed` is not a share.
 * @example
 * ```ts
 * import { keptCount } from "@kvfold/policies";
 * keptCount(4000, 0.75) // => 1000
 * ```
 */
export function keptCount(tokens: number, removed: number): number {
  requireShares("keptCount", { removed });
  return Math.floor(tokens * (1 - removed));
}

/**
 * The places of the `count` highest scores, ascending. Of equal scores the earlier places win, so the result is the same on
 * every machine.
 *
 * Numerics: comparisons only. NaN counts as the lowest score. Time `O(n log n)`.
 *
 * @throws {PolicyError} `invalid-argument` when `count` is not between 0 and the number of scores.
 * @example
 * ```ts
 * import { highestPlaces } from "@kvfold/policies";
 * Array.from(highestPlaces(Float32Array.of(1, 3, 2, 3, 2), 3)) // => [1, 2, 3]
 * ```
 */
export function highestPlaces(scores: Float32Array, count: number): Int32Array {
  if (!(Number.isInteger(count) && count >= 0 && count <= scores.length)) {
    throw new PolicyError(
      "invalid-argument",
      `highestPlaces: expected a count of 0 to ${scores.length} places, found ${count}`,
    );
  }
  if (count === 0) return new Int32Array(0);
  const ordered = scores.map((score) => (Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score)).sort();
  const lowest = ordered[scores.length - count]!;
  let ties = count - ordered.reduce((above, score) => above + (score > lowest ? 1 : 0), 0);
  const places = new Int32Array(count);
  let next = 0;
  for (let place = 0; place < scores.length && next < count; place++) {
    const score = scores[place]!;
    if (score > lowest || (isTie(score, lowest) && ties-- > 0)) places[next++] = place;
  }
  return places;
}

/** Whether a score is the lowest one kept; NaN stands for minus infinity. */
const isTie = (score: number, lowest: number): boolean =>
  score === lowest || (lowest === Number.NEGATIVE_INFINITY && Number.isNaN(score));
