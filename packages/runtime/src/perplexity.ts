import { type AbortSignalLike, throwIfAborted } from "./abort-signal.js";
import type { CausalLM } from "./causal-lm.js";
import type { DecodingState } from "./decoding-state.js";
import { type Logits, logitsRow, logSumExp } from "./logits.js";
import { RuntimeError } from "./runtime-error.js";

/** How well a model predicts a text. */
export interface Perplexity {
  /** Mean negative log likelihood of a token, in nats. */
  readonly nll: number;
  /** `exp(nll)`. */
  readonly perplexity: number;
  /** Tokens that were predicted. */
  readonly tokens: number;
}

export declare namespace perplexity {
  interface Options {
    /** Called after window `index` with the figures of all windows so far. */
    readonly onWindow?: ((index: number, soFar: Perplexity) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

/** Logits of a run stay under this: a window of 1024 tokens over a vocabulary of 150 000 would take 600 MB at once. */
const LOGITS_BYTES = 64 * 2 ** 20;
/** Assumed where a graph does not declare its vocabulary: about the largest in use (Gemma's is 262 144). */
const LARGE_VOCABULARY = 2 ** 18;

/**
 * Perplexity of a model over windows of `n + 1` tokens: positions `0..n-1` of a window predict its tokens `1..n`, and
 * every window starts from nothing.
 *
 * Numerics: log-sum-exp around the largest logit, accumulated in float64 over float32 logits; windows are run in
 * chunks behind a cache, which agrees with one run to about 1e-6.
 *
 * @throws {RuntimeError} `aborted` when `signal` fires; `invalid-argument` for a window of fewer than two tokens, or no
 *   windows at all; `invalid-logits` when the model computes NaN.
 */
export async function perplexity(
  model: CausalLM,
  windows: Iterable<ArrayLike<number>>,
  { onWindow, signal }: perplexity.Options = {},
): Promise<Perplexity> {
  const state = model.createState();
  let total = 0;
  let tokens = 0;
  let index = 0;
  try {
    for (const window of windows) {
      total += await windowNll(model, state, Array.from(window), signal);
      tokens += window.length - 1;
      onWindow?.(index++, summarise(total, tokens));
    }
  } finally {
    state.dispose();
  }
  if (tokens === 0)
    throw new RuntimeError("invalid-argument", "perplexity: expected at least one window, found none");
  return summarise(total, tokens);
}

const summarise = (total: number, tokens: number): Perplexity => ({
  nll: total / tokens,
  perplexity: Math.exp(total / tokens),
  tokens,
});

async function windowNll(
  model: CausalLM,
  state: DecodingState,
  window: readonly number[],
  signal: AbortSignalLike | undefined,
): Promise<number> {
  if (window.length < 2) {
    throw new RuntimeError(
      "invalid-argument",
      `perplexity: expected windows of two tokens or more, found ${window.length}`,
    );
  }
  const chunk = Math.max(1, Math.floor(LOGITS_BYTES / (4 * (model.vocabularySize ?? LARGE_VOCABULARY))));
  const count = window.length - 1;
  let total = 0;
  state.clear();
  for (let start = 0; start < count; start += chunk) {
    throwIfAborted(signal);
    const end = Math.min(start + chunk, count);
    total += summedNll(await state.forward(window.slice(start, end)), window.slice(start + 1, end + 1));
  }
  return total;
}

function summedNll(logits: Logits, targets: readonly number[]): number {
  let total = 0;
  for (const [index, target] of targets.entries()) {
    const row = logitsRow(logits, index);
    total += logSumExp(row) - row[target]!;
  }
  if (Number.isNaN(total)) {
    throw new RuntimeError(
      "invalid-logits",
      "perplexity: expected finite logits over the vocabulary, found NaN, or a target token beyond the vocabulary",
    );
  }
  return total;
}
