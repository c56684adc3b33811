import type { Policy } from "@kvfold/policies";
import { type AbortSignalLike, throwIfAborted } from "./abort-signal.js";
import { checkGraph, needsOf } from "./apply-policies.js";
import type { CausalLM } from "./causal-lm.js";
import { checkTokens } from "./check-tokens.js";
import type { DecodingState } from "./decoding-state.js";
import { logitsRow, logSumExp } from "./logits.js";
import { RuntimeError } from "./runtime-error.js";
import { argmax } from "./sampling.js";

/** A context, a question about it, and the one right answer; token ids, at least one of each. */
export interface PolicyItem {
  readonly context: readonly number[];
  readonly question: readonly number[];
  readonly answer: readonly number[];
}

/** When the cache is compressed: before the question is read, or after it. */
export type QuestionTime = "unknown" | "known";

/** How a model answers under policies, or continues a text. */
export interface PolicyScore {
  /** Tokens of the answer. */
  readonly tokens: number;
  /** Tokens of the answer that are the first choice after its own tokens before them. */
  readonly hits: number;
  /** Sum of the negative log likelihoods of the answer's tokens, in nats. */
  readonly nll: number;
  /** Tokens that were held on average by a head of a layer, and read, when policies had acted. */
  readonly held: number;
  readonly read: number;
}

export declare namespace policyProbe {
  interface Options {
    /** `unknown` unless given. */
    readonly question?: QuestionTime | undefined;
    /** Called after each item. */
    readonly onItem?: ((index: number, scores: readonly PolicyScore[]) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

/**
 * Tells what policies cost: whether a model still finds what its context holds. The context is read once, and each list of
 * policies acts on a copy of its cache, before or after the question is read. The answer is teacher-forced; question and
 * answer stand where they would without policies. An empty list leaves the cache whole.
 *
 * Text without a question is scored by items whose `answer` is its continuation.
 *
 * Numerics: the first choice is the largest float32 logit, of equals the one of lowest id; log likelihoods are float64.
 *
 * @returns A score for each list of policies, item by item.
 * @throws {RuntimeError} `invalid-argument` for an item without context or answer, a token beyond the vocabulary, or a graph that
 *   cannot drop tokens, or has not the bits that a list asks for;
 *   `too-many-positions`, `run-failed`; `aborted` when `signal` fires.
 */
export async function policyProbe(
  model: CausalLM,
  items: Iterable<PolicyItem>,
  lists: readonly (readonly Policy[])[],
  { question = "unknown", onItem, signal }: policyProbe.Options = {},
): Promise<readonly (readonly PolicyScore[])[]> {
  const results: (readonly PolicyScore[])[] = [];
  checkGraph("policyProbe", lists.flat(), model.cacheLayout);
  const state = model.createState({ observe: needsOf(lists.flat()) });
  try {
    for (const item of items) {
      checkItem(item, results.length, model.vocabularySize);
      const scores = await scoreItem(state, item, { lists, question, signal });
      results.push(scores);
      onItem?.(results.length - 1, scores);
    }
  } finally {
    state.dispose();
  }
  return results;
}

interface Request {
  readonly lists: readonly (readonly Policy[])[];
  readonly question: QuestionTime;
  readonly signal: AbortSignalLike | undefined;
}

async function scoreItem(
  state: DecodingState,
  { context, question, answer }: PolicyItem,
  { lists, question: time, signal }: Request,
): Promise<readonly PolicyScore[]> {
  const isKnown = time === "known";
  throwIfAborted(signal);
  state.clear();
  let first = await state.prefill(context);
  if (isKnown && question.length > 0) first = await state.prefill(question);
  const next = first.slice();
  const scores: PolicyScore[] = [];
  for (const policies of lists) {
    throwIfAborted(signal);
    const copy = state.copy();
    try {
      copy.compress(policies);
      const held = { held: meanOf(copy.heldTokens.flat()), read: copy.length };
      const tail = [...(isKnown ? [] : question), ...answer.slice(0, -1)];
      scores.push({ ...(await scoreAnswer(copy, { tail, answer, next })), ...held });
    } finally {
      copy.dispose();
    }
  }
  return scores;
}

/** Tokens that are run at once: logits of a long text would take too much memory. */
const RUN = 256;

interface Answer {
  /** What is run after the cache: the question, if it is not in there, and the answer but for its last token. */
  readonly tail: readonly number[];
  readonly answer: readonly number[];
  /** Logits after the cache as it was. */
  readonly next: Float32Array;
}

async function scoreAnswer(
  state: DecodingState,
  { tail, answer, next }: Answer,
): Promise<Pick<PolicyScore, "tokens" | "hits" | "nll">> {
  const score = { tokens: answer.length, hits: 0, nll: 0 };
  const add = (row: Float32Array, token: number) => {
    if (argmax(row) === token) score.hits++;
    score.nll += logSumExp(row) - row[token]!;
  };
  /** Rows of the question, but for the last, predict nothing of the answer. */
  const before = tail.length - answer.length;
  if (before < 0) add(next, answer[0]!);
  for (let start = 0; start < tail.length; start += RUN) {
    const logits = await state.forward(tail.slice(start, start + RUN));
    for (let row = Math.max(0, before - start); row < logits.rows; row++)
      add(logitsRow(logits, row), answer[start + row - before]!);
  }
  return score;
}

function checkItem(
  { context, question, answer }: PolicyItem,
  index: number,
  vocabularySize = Number.POSITIVE_INFINITY,
): void {
  if (context.length === 0 || answer.length === 0)
    throw new RuntimeError(
      "invalid-argument",
      `policyProbe: expected a context and an answer of at least one token, found ${context.length} and ${answer.length}`,
    );
  for (const [part, ids] of Object.entries({ context, question, answer }))
    if (ids.length > 0) checkTokens(`policyProbe, ${part} of item ${index}`, ids, vocabularySize);
}

const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
