import { type AbortSignalLike, throwIfAborted } from "./abort-signal.js";
import type { CausalLM } from "./causal-lm.js";
import type { DecodingState } from "./decoding-state.js";
import { type Logits, logitsRow } from "./logits.js";
import { RuntimeError } from "./runtime-error.js";
import { argmax } from "./sampling.js";

/** A prompt, and the one right continuation of it. */
export interface RetrievalItem {
  /** Token ids, at least one. */
  readonly prompt: ArrayLike<number>;
  /** Token ids, at least one. */
  readonly answer: ArrayLike<number>;
}

/** How a model answers one prompt. */
export interface RetrievalScore {
  /** Tokens of the answer. */
  readonly tokens: number;
  /** Tokens of the answer that are the model's first choice after the prompt and the answer's own tokens before them. */
  readonly hits: number;
  /** Whether all tokens are: `hits === tokens`. */
  readonly teacherForced: boolean;
  /** Whether the model, decoding greedily from the prompt, writes the answer token by token. */
  readonly greedy: boolean;
}

export declare namespace retrievalProbe {
  interface Options {
    /** Called after item `index`. */
    readonly onItem?: ((index: number, score: RetrievalScore) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

/**
 * Tells whether a model finds what its context holds: pass keys, records, lists to repeat. An answer is right when it is
 * so in every token. It is measured twice, after one prefill of the prompt: teacher-forced, in one run over the answer,
 * and greedily, token by token, as `generate` does at temperature 0. The two agree but for rounding.
 *
 * Numerics: the first choice is the largest float32 logit, of equals the one of lowest id; the two ways differ by about
 * 1e-6 of the logits, which decides between near ties only.
 *
 * @returns A score for each item, in their order.
 * @throws {RuntimeError} `invalid-argument` for an empty prompt or answer, or a token beyond the vocabulary;
 *   `too-many-positions` when prompt and answer are longer than the model's context; `invalid-logits` when the model
 *   computes NaN; `aborted` when `signal` fires.
 */
export async function retrievalProbe(
  model: CausalLM,
  items: Iterable<RetrievalItem>,
  { onItem, signal }: retrievalProbe.Options = {},
): Promise<readonly RetrievalScore[]> {
  const scores: RetrievalScore[] = [];
  const state = model.createState();
  try {
    for (const item of items) {
      throwIfAborted(signal);
      const score = await scoreItem(state, item);
      scores.push(score);
      onItem?.(scores.length - 1, score);
    }
  } finally {
    state.dispose();
  }
  return scores;
}

async function scoreItem(state: DecodingState, { prompt, answer }: RetrievalItem): Promise<RetrievalScore> {
  const tokens = Array.from(answer);
  state.clear();
  const first = await state.prefill(prompt);
  checkAnswer(tokens, first.length);
  const hits = await countHits(state, first, tokens);
  state.truncate(prompt.length);
  const greedy = await writesAnswer(state, first, tokens);
  return { tokens: tokens.length, hits, teacherForced: hits === tokens.length, greedy };
}

function checkAnswer(answer: readonly number[], vocabularySize: number): void {
  const stranger = answer.findIndex((id) => !(Number.isInteger(id) && id >= 0 && id < vocabularySize));
  if (answer.length > 0 && stranger < 0) return;
  const found = answer.length === 0 ? "none" : `${answer[stranger]} at ${stranger}`;
  throw new RuntimeError(
    "invalid-argument",
    `retrievalProbe: expected an answer of token ids below ${vocabularySize}, found ${found}`,
  );
}

/** Tokens of the answer that are the first choice; `first` are the logits after the prompt, which the state holds. */
async function countHits(
  state: DecodingState,
  first: Float32Array,
  answer: readonly number[],
): Promise<number> {
  const context = answer.slice(0, -1);
  const rows = [first, ...(context.length === 0 ? [] : allRows(await state.forward(context)))];
  return answer.filter((token, index) => argmax(rows[index]!) === token).length;
}

const allRows = (logits: Logits): readonly Float32Array[] =>
  Array.from({ length: logits.rows }, (_, index) => logitsRow(logits, index));

/** Decodes greedily for as long as the answer comes. */
async function writesAnswer(
  state: DecodingState,
  first: Float32Array,
  answer: readonly number[],
): Promise<boolean> {
  let logits = first;
  for (const [index, token] of answer.entries()) {
    if (argmax(logits) !== token) return false;
    if (index < answer.length - 1) logits = await state.decode(token);
  }
  return true;
}
