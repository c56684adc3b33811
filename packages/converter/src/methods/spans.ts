import type { SpanContext, Spans } from "./method.js";

/**
 * A span near those that a method wants, for any number of KV heads: the largest divisor of `kvHeads` from `least` to
 * `most`, else the smallest above, else `kvHeads` itself.
 *
 * @example
 * ```ts
 * import { spanFor } from "@kvfold/converter";
 *
 * spanFor(8, 4); // => 4
 * spanFor(8, 3); // => 4
 * spanFor(32, 2, 8); // => 8
 * spanFor(3, 4); // => 3
 * ```
 */
export function spanFor(kvHeads: number, least: number, most: number = least): number {
  for (let span = Math.min(most, kvHeads); span >= least; span--) if (kvHeads % span === 0) return span;
  for (let span = most + 1; span < kvHeads; span++) if (kvHeads % span === 0) return span;
  return kvHeads;
}

/** Spans equal to the shrink, so that folded heads keep the size of the input's heads; the next divisor where there is none. */
export function groupSpans({ kvHeads, shrink }: SpanContext): Spans {
  const span = spanFor(kvHeads, shrink);
  return { keys: span, values: span };
}
