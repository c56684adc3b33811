import { RopeError } from "../rope-error.js";

/** Checks that every named number is a whole number of at least `minimum`. */
export function checkCounts(caller: string, counts: Readonly<Record<string, number>>, minimum = 1): void {
  for (const [name, count] of Object.entries(counts)) {
    if (!Number.isSafeInteger(count) || count < minimum) {
      throw new RopeError(
        "invalid-argument",
        `${caller}: expected ${name} to be a whole number of at least ${minimum}, found ${count}`,
      );
    }
  }
}

/** Checks that `dimension`, which is split into pairs, is even, at least 2 and at most `headDim`. */
export function checkRotaryDim(caller: string, rotaryDim: number, headDim: number): void {
  checkCounts(caller, { headDim, rotaryDim }, 2);
  if (rotaryDim % 2 !== 0 || rotaryDim > headDim) {
    throw new RopeError(
      "invalid-argument",
      `${caller}: expected rotaryDim to be even and at most headDim (${headDim}), found ${rotaryDim}`,
    );
  }
}

/** Checks that the array called `name` has exactly `expected` numbers, `shape` telling why. */
export function checkLength(
  caller: string,
  name: string,
  length: number,
  expected: number,
  shape: string,
): void {
  if (length === expected) return;
  throw new RopeError(
    "shape-mismatch",
    `${caller}: expected ${name} to hold ${expected} numbers (${shape}), found ${length}`,
  );
}

/** How many rows of `width` numbers the array called `name` holds. */
export function countRows(
  caller: string,
  name: string,
  length: number,
  width: number,
  shape: string,
): number {
  if (length === 0) return 0;
  if (length % width === 0) return length / width;
  throw new RopeError(
    "shape-mismatch",
    `${caller}: expected ${name} to hold a multiple of ${width} numbers (${shape}), found ${length}`,
  );
}
