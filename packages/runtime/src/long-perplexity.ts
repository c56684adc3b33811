import { throwIfAborted } from "./abort-signal.js";
import type { CausalLM } from "./causal-lm.js";
import { RuntimeError } from "./runtime-error.js";
import {
  chunksOf,
  lossesAfter,
  readWindow,
  rowsAtATime,
  type Windows,
  type windowLosses,
} from "./window-losses.js";

export declare namespace shortContextLosses {
  interface Options extends windowLosses.Options {
    /** Tokens that a prediction may read at least. */
    readonly context: number;
    /** Tokens that share one start, so that a prediction reads fewer than `context + stride`; a quarter of `context` unless given. */
    readonly stride?: number | undefined;
  }
}

/**
 * The losses of windows as `windowLosses` gives them, each token predicted from a short context: `context` to
 * `context + stride - 1` tokens before it, the first of them at `firstPosition`. Tokens with no more than that before them are
 * NaN. Every `stride` tokens cost a run of `context + stride`.
 *
 * Numerics: as `windowLosses`.
 *
 * @throws {RuntimeError} As `windowLosses`; `invalid-argument` for a context or stride that is not a whole number from 1.
 */
export async function* shortContextLosses(
  model: CausalLM,
  windows: Windows,
  {
    context,
    stride = Math.max(1, Math.floor(context / 4)),
    firstPosition,
    signal,
  }: shortContextLosses.Options,
): AsyncGenerator<Float64Array> {
  checkLengths({ context, stride });
  const state = model.createState({ firstPosition });
  const rows = rowsAtATime(model);
  try {
    for (const window of windows) {
      const tokens = readWindow(window);
      const losses = new Float64Array(tokens.length - 1).fill(Number.NaN);
      // The first run, from the window's first token, would be that of the full context.
      for (const { start, end } of chunksOf(stride, tokens.length - context, stride)) {
        throwIfAborted(signal);
        state.clear();
        const part = tokens.slice(start, end + context);
        if (context > 1) await state.prefill(part.slice(0, context - 1));
        losses.set(await lossesAfter(state, part, { start: context - 1, rows, signal }), start + context - 1);
      }
      yield losses;
    }
  } finally {
    state.dispose();
  }
}

function checkLengths(lengths: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(lengths)) {
    if (Number.isSafeInteger(value) && value >= 1) continue;
    throw new RuntimeError(
      "invalid-argument",
      `shortContextLosses: expected ${name} as a whole number from 1, found ${value}`,
    );
  }
}

export declare namespace findKeyTokens {
  interface Options {
    /** What the long context adds at least, in nats; 2 unless given. */
    readonly alpha?: number | undefined;
    /** The log likelihood under the long context at least, in nats; -2 unless given. */
    readonly beta?: number | undefined;
  }
}

/**
 * The key tokens of a window: those that a model predicts well from the long context and much worse from a short one.
 * LongPPL is the perplexity over them alone (Fang et al., "What is Wrong with Perplexity for Long-context Language Modeling?",
 * ICLR 2025, arXiv 2410.23771): `LSD = log p(long) - log p(short) > alpha` and `LCL = log p(long) > beta`.
 *
 * @param longLosses - `[n]`, from `windowLosses`.
 * @param shortLosses - `[n]`, from `shortContextLosses`; a token whose loss is NaN is not a key token.
 * @returns Indices into the losses, ascending.
 *
 * @example
 * ```ts
 * import { findKeyTokens } from "@kvfold/runtime";
 *
 * const long = Float64Array.of(0.1, 1, 2.5, 0.1);
 * const short = Float64Array.of(NaN, 4, 9, 1);
 * findKeyTokens(long, short) // => [1]
 * ```
 */
export function findKeyTokens(
  longLosses: Float64Array,
  shortLosses: Float64Array,
  { alpha = 2, beta = -2 }: findKeyTokens.Options = {},
): readonly number[] {
  const indices = Array.from(longLosses.keys());
  return indices.filter((i) => shortLosses[i]! - longLosses[i]! > alpha && -longLosses[i]! > beta);
}
