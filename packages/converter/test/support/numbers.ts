import { createRandom } from "@kvfold/runtime";

/** Largest absolute difference of two arrays; infinite where one holds NaN or their lengths differ. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return largest;
}

/** Random token ids below `vocabulary`, as windows of one length. */
export function randomWindows(
  count: number,
  length: number,
  { vocabulary, seed = 7 }: { readonly vocabulary: number; readonly seed?: number },
): readonly Int32Array[] {
  const next = createRandom(seed);
  return Array.from({ length: count }, () =>
    Int32Array.from({ length }, () => Math.floor(next() * vocabulary)),
  );
}

/**
 * Differences of logits of size 1 to 20 between float32 graphs and float64 loops: float32 carries 7 digits and a
 * handful of layers lose about one, so 1e-4 leaves a margin of ten and is far below any error of substance.
 */
export const LOGIT_TOLERANCE = 1e-4;
