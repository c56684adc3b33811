import { createRandom } from "@kvfold/runtime";

/**
 * In which order windows are used: all of them in a random order, then all of them in another one, and so on. What comes at a
 * place does not depend on what was asked before.
 */
export function windowOrder(count: number, seed: number): (place: number) => number {
  let known = { epoch: -1, order: [] as readonly number[] };
  return (place) => {
    const epoch = Math.floor(place / count);
    if (known.epoch !== epoch) known = { epoch, order: shuffled(count, seed * 65_537 + epoch) };
    return known.order[place % count]!;
  };
}

/** Fisher and Yates. */
function shuffled(count: number, seed: number): readonly number[] {
  const random = createRandom(seed);
  const order = Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}
