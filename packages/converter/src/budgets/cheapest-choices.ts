import { type AbortSignalLike, throwIfAborted } from "@kvfold/runtime";
import { nextTurn } from "./next-turn.js";

/** A rank that a layer may have, and what it costs. */
export interface Choice {
  /** A whole number. */
  readonly units: number;
  readonly damage: number;
}

/** Steps between two looks at the signal: some ten milliseconds. */
const STEPS_PER_TURN = 2 ** 22;

/**
 * One choice for each layer with the least damage in total and at most `total` units: the multiple-choice knapsack
 * problem, solved exactly by dynamic programming (Kellerer, Pferschy and Pisinger 2004, section 11.5). Among equals
 * the one that uses most units. Time `O(layers * choices * total)`, in turns with the thread's other work; memory
 * `O(layers * total)`.
 *
 * @throws {RangeError} when even the smallest choices exceed `total`.
 * @throws {RuntimeError} `aborted` when `signal` fires.
 */
export async function cheapestChoices(
  layers: readonly (readonly Choice[])[],
  total: number,
  signal?: AbortSignalLike,
): Promise<readonly Choice[]> {
  // Least damage of the layers so far with exactly t units.
  let best = new Float64Array(total + 1).fill(Number.POSITIVE_INFINITY);
  best[0] = 0;
  const taken: Int32Array[] = [];
  let steps = 0;
  for (const choices of layers) {
    const next = {
      damage: best.map(() => Number.POSITIVE_INFINITY),
      taken: new Int32Array(total + 1).fill(-1),
    };
    for (const index of choices.keys()) {
      relax(next, best, choices[index]!, index);
      steps += total;
      if (steps < STEPS_PER_TURN) continue;
      steps = 0;
      await nextTurn();
      throwIfAborted(signal);
    }
    best = next.damage;
    taken.push(next.taken);
  }
  return trace(layers, taken, lastLeast(best));
}

/** Least damage with exactly t units, and the index of the last layer's choice that gives it, -1 where none does. */
interface Row {
  readonly damage: Float64Array;
  readonly taken: Int32Array;
}

/** Takes `choice` for the next layer wherever that is cheaper. */
function relax(
  { damage, taken }: Row,
  before: Float64Array,
  { units, damage: own }: Choice,
  index: number,
): void {
  for (let used = units; used < damage.length; used++) {
    const sum = before[used - units]! + own;
    if (sum >= damage[used]!) continue;
    damage[used] = sum;
    taken[used] = index;
  }
}

/** Walks back from `used` units of all layers. */
function trace(
  layers: readonly (readonly Choice[])[],
  taken: readonly Int32Array[],
  used: number,
): readonly Choice[] {
  let left = used;
  return layers
    .map((choices, layer) => ({ choices, from: taken[layer]! }))
    .toReversed()
    .map(({ choices, from }) => {
      const choice = choices[from[left]!];
      if (choice === undefined) throw new RangeError("no choice of ranks fits the total");
      left -= choice.units;
      return choice;
    })
    .toReversed();
}

/** Index of the least value, the last of equals. */
const lastLeast = (values: Float64Array): number =>
  values.reduce((least, value, index) => (value <= values[least]! ? index : least), 0);
