/** A rank that a layer may have, and what it costs. */
export interface Choice {
  /** A whole number. */
  readonly units: number;
  readonly damage: number;
}

/**
 * One choice for each layer with the least damage in total and at most `total` units: the multiple-choice knapsack
 * problem, solved exactly by dynamic programming (Kellerer, Pferschy and Pisinger 2004, section 11.5). Among equals
 * the one that uses most units. Time and memory `O(layers * choices * total)`.
 *
 * @throws {RangeError} when even the smallest choices exceed `total`.
 */
export function cheapestChoices(layers: readonly (readonly Choice[])[], total: number): readonly Choice[] {
  // best[t]: least damage of the layers so far with exactly t units; taken[layer][t]: the choice that gives it.
  let best = new Float64Array(total + 1).fill(Number.POSITIVE_INFINITY);
  best[0] = 0;
  const taken = layers.map((choices) => {
    const next = new Float64Array(total + 1).fill(Number.POSITIVE_INFINITY);
    const from: (Choice | undefined)[] = Array.from({ length: total + 1 });
    for (const choice of choices) {
      for (let used = choice.units; used <= total; used++) {
        const damage = best[used - choice.units]! + choice.damage;
        if (damage >= next[used]!) continue;
        next[used] = damage;
        from[used] = choice;
      }
    }
    best = next;
    return from;
  });
  return trace(taken, lastLeast(best));
}

/** Walks back from `used` units behind the last layer. */
function trace(taken: readonly (readonly (Choice | undefined)[])[], used: number): readonly Choice[] {
  let left = used;
  return taken
    .toReversed()
    .map((from) => {
      const choice = from[left];
      if (choice === undefined) throw new RangeError("no choice of ranks fits the total");
      left -= choice.units;
      return choice;
    })
    .toReversed();
}

/** Index of the least value, the last of equals. */
const lastLeast = (values: Float64Array): number =>
  values.reduce((least, value, index) => (value <= values[least]! ? index : least), 0);
