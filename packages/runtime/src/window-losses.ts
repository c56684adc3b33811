import { type AbortSignalLike, throwIfAborted } from "./abort-signal.js";
import type { CausalLM } from "./causal-lm.js";
import type { DecodingState } from "./decoding-state.js";
import { type Logits, logitsRow, logSumExp } from "./logits.js";
import { RuntimeError } from "./runtime-error.js";

/** Windows of `n + 1` tokens each: positions `0..n-1` predict tokens `1..n`, and every window starts from nothing. */
export type Windows = Iterable<ArrayLike<number>>;

export declare namespace windowLosses {
  interface Options {
    /** Position of every window's first token, 0 unless given. */
    readonly firstPosition?: number | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

/**
 * How well a model predicts each token of windows: one array `[n]` for a window of `n + 1` tokens, entry `i` the negative
 * log likelihood of token `i + 1` in nats. Perplexity, figures by position, over key tokens or with bootstrap errors are
 * all sums of these.
 *
 * Numerics: log-sum-exp around the largest logit, in float64 over float32 logits; windows are run in chunks after a
 * cache, which agrees with one run to about 1e-6.
 *
 * @throws {RuntimeError} `aborted` when `signal` fires; `invalid-argument` for a window of fewer than two tokens, or a
 *   first position that the graph cannot be told; `too-many-positions` when a window runs past the model's positions;
 *   `invalid-logits` when the model computes NaN, or a token is beyond the vocabulary.
 */
export async function* windowLosses(
  model: CausalLM,
  windows: Windows,
  { firstPosition, signal }: windowLosses.Options = {},
): AsyncGenerator<Float64Array> {
  const state = model.createState({ firstPosition });
  try {
    for (const window of windows) {
      const tokens = readWindow(window);
      state.clear();
      yield await lossesAfter(state, tokens, { start: 0, rows: rowsAtATime(model), signal });
    }
  } finally {
    state.dispose();
  }
}

/** @throws {RuntimeError} `invalid-argument` when nothing of the window can be predicted. */
export function readWindow(window: ArrayLike<number>): readonly number[] {
  if (window.length >= 2) return Array.from(window);
  throw new RuntimeError(
    "invalid-argument",
    `windowLosses: expected windows of two tokens or more, found ${window.length}`,
  );
}

/** Logits of a run stay under this: a window of 1024 tokens over a vocabulary of 150 000 would take 600 MB at once. */
const LOGITS_BYTES = 64 * 2 ** 20;
/** Assumed where a graph does not declare its vocabulary: about the largest in use (Gemma's is 262 144). */
const LARGE_VOCABULARY = 2 ** 18;

/** Tokens to run at a time, so that the logits of `models` models together stay bounded. */
export const rowsAtATime = ({ vocabularySize }: CausalLM, models = 1): number =>
  Math.max(1, Math.floor(LOGITS_BYTES / (4 * models * (vocabularySize ?? LARGE_VOCABULARY))));

/** A run of tokens, half-open, that predicts those one further on. */
export interface Chunk {
  readonly start: number;
  readonly end: number;
}

/** Cuts `start..end - 1` into runs of `rows` tokens at most. */
export function* chunksOf(start: number, end: number, rows: number): Generator<Chunk> {
  for (let first = start; first < end; first += rows) {
    yield { start: first, end: Math.min(first + rows, end) };
  }
}

/** The losses of the tokens after `start`, given a state that holds those before `start`. */
export async function lossesAfter(
  state: DecodingState,
  tokens: readonly number[],
  { start, rows, signal }: { start: number; rows: number; signal: AbortSignalLike | undefined },
): Promise<Float64Array> {
  const last = tokens.length - 1;
  const losses = new Float64Array(last - start);
  for (const chunk of chunksOf(start, last, rows)) {
    throwIfAborted(signal);
    const logits = await state.forward(tokens.slice(chunk.start, chunk.end));
    losses.set(lossesOf(logits, tokens.slice(chunk.start + 1, chunk.end + 1)), chunk.start - start);
  }
  return losses;
}

function lossesOf(logits: Logits, targets: readonly number[]): readonly number[] {
  return targets.map((target, index) => {
    const row = logitsRow(logits, index);
    return checkLoss(logSumExp(row) - row[target]!);
  });
}

/** @throws {RuntimeError} `invalid-logits` for NaN. */
export function checkLoss(loss: number): number {
  if (!Number.isNaN(loss)) return loss;
  throw new RuntimeError(
    "invalid-logits",
    "windowLosses: expected finite logits over the vocabulary, found NaN, or a target token beyond the vocabulary",
  );
}
