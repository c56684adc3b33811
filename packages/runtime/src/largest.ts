/**
 * The `count` largest values in descending order, found by Hoare's selection: linear in the number of values, where
 * sorting them all costs far more for a vocabulary of 10^5 and a `count` of 50.
 *
 * @param count - At most as many as there are values.
 */
export function largestValues(values: Float64Array, count: number): Float64Array {
  const partitioned = values.slice();
  moveLargestToFront(partitioned, count);
  return sortDescending(partitioned.subarray(0, count));
}

/** Sorts in place, the largest value first. */
export const sortDescending = (values: Float64Array): Float64Array => values.sort().reverse();

/** Reorders values so that none of the first `count` is smaller than any of the others. */
function moveLargestToFront(values: Float64Array, count: number): void {
  let from = 0;
  let to = values.length - 1;
  while (from < to) {
    const larger = partition(values, from, to);
    if (larger === count) return;
    if (larger < count) from = larger;
    else to = larger - 1;
  }
}

/**
 * Reorders the values of `from..to` (inclusive): first those not below the one in the middle, then those not above it.
 * Returns where the second part begins, which is neither part's outer end.
 */
function partition(values: Float64Array, from: number, to: number): number {
  const pivot = values[(from + to) >> 1]!;
  let left = from - 1;
  let right = to + 1;
  for (;;) {
    do left++;
    while (values[left]! > pivot);
    do right--;
    while (values[right]! < pivot);
    if (left >= right) return right + 1;
    const moved = values[left]!;
    values[left] = values[right]!;
    values[right] = moved;
  }
}
