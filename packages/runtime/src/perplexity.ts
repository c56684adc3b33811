import type { AbortSignalLike } from "./abort-signal.js";
import type { CausalLM } from "./causal-lm.js";
import { type Perplexity, perplexityOfSums, sumPositions } from "./loss-sums.js";
import { RuntimeError } from "./runtime-error.js";
import { type Windows, windowLosses } from "./window-losses.js";

export declare namespace perplexity {
  interface Options extends windowLosses.Options {
    /** Called after window `index` with the figures of all windows so far. */
    readonly onWindow?: ((index: number, soFar: Perplexity) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

/**
 * Perplexity of a model over windows of `n + 1` tokens: positions `0..n-1` of a window predict its tokens `1..n`, and
 * every window starts from nothing.
 *
 * Numerics: as `windowLosses`, whose mean it is.
 *
 * @throws {RuntimeError} As `windowLosses`; `invalid-argument` for no windows at all.
 */
export async function perplexity(
  model: CausalLM,
  windows: Windows,
  { onWindow, ...options }: perplexity.Options = {},
): Promise<Perplexity> {
  const sums = { total: 0, tokens: 0 };
  let index = 0;
  for await (const losses of windowLosses(model, windows, options)) {
    const { total, tokens } = sumPositions(losses);
    sums.total += total;
    sums.tokens += tokens;
    onWindow?.(index++, perplexityOfSums([sums]));
  }
  if (sums.tokens === 0)
    throw new RuntimeError("invalid-argument", "perplexity: expected at least one window, found none");
  return perplexityOfSums([sums]);
}
