import { type AbortSignalLike, throwIfAborted } from "./abort-signal.js";
import type { CausalLM } from "./causal-lm.js";
import { type Logits, logitsRow, logSumExp } from "./logits.js";
import { createRandom, type Random } from "./random.js";
import { RuntimeError } from "./runtime-error.js";
import { argmax } from "./sampling.js";

/** How well a model copies tokens it saw `distance` tokens ago. */
export interface CopyScore {
  /** Tokens from the first occurrence of a token to its second. */
  readonly distance: number;
  /** Mean negative log likelihood of a token of the second occurrence, in nats. */
  readonly nll: number;
  /** Share of them that is the model's first choice, 0 to 1. */
  readonly accuracy: number;
  /** Tokens that were predicted. */
  readonly tokens: number;
}

export declare namespace copyProbe {
  interface Options {
    /** Tokens to draw from: ordinary ones, no specials. */
    readonly vocabulary: ArrayLike<number>;
    /** Distances to measure, each at least `length`. */
    readonly distances?: readonly number[];
    /** Tokens that are repeated. */
    readonly length?: number;
    /** Sequences for each distance. */
    readonly sequences?: number;
    readonly seed?: number;
    readonly onSequence?: ((done: number, total: number) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

/**
 * Tells what perplexity hides: whether a model still finds and copies what stands in its context. A sequence is
 * `length` random tokens, other random tokens up to `distance`, and the first ones again; scored are the tokens of the
 * second occurrence but for its first, which nothing announces. The sequences depend on the options alone, so models
 * are measured on the same ones.
 *
 * @throws {RuntimeError} `invalid-argument` for a distance below `length`; `too-many-positions` when a sequence is
 *   longer than the model's context; `aborted` when `signal` fires.
 */
export async function copyProbe(
  model: CausalLM,
  {
    vocabulary,
    distances = [32, 64, 128, 256, 512],
    length = 32,
    sequences = 8,
    seed = 0,
    onSequence,
    signal,
  }: copyProbe.Options,
): Promise<readonly CopyScore[]> {
  const random = createRandom(seed);
  const scores: CopyScore[] = [];
  for (const [index, distance] of distances.entries()) {
    requireRoom(distance, length);
    const totals = { nll: 0, hits: 0, tokens: 0 };
    for (let sequence = 0; sequence < sequences; sequence++) {
      throwIfAborted(signal);
      const tokens = repeatedSequence(vocabulary, distance, length, random);
      addScores(totals, await model.forward(tokens), tokens, distance);
      onSequence?.(index * sequences + sequence + 1, distances.length * sequences);
    }
    const { nll, hits, tokens } = totals;
    scores.push({ distance, nll: nll / tokens, accuracy: hits / tokens, tokens });
  }
  return scores;
}

function requireRoom(distance: number, length: number): void {
  if (length >= 2 && distance >= length) return;
  throw new RuntimeError(
    "invalid-argument",
    `copyProbe: a distance must be at least the length of what is repeated (${length}, itself 2 or more), found ${distance}`,
  );
}

/** `[first, filler, first]`: `distance + length` tokens. */
function repeatedSequence(
  vocabulary: ArrayLike<number>,
  distance: number,
  length: number,
  random: Random,
): Int32Array {
  const tokens = Int32Array.from(
    { length: distance },
    () => vocabulary[Math.floor(random() * vocabulary.length)]!,
  );
  return Int32Array.from([...tokens, ...tokens.subarray(0, length)]);
}

/** Adds the scores of all predicted tokens from `distance + 1` on; row `i` of the logits predicts token `i + 1`. */
function addScores(
  totals: { nll: number; hits: number; tokens: number },
  logits: Logits,
  tokens: Int32Array,
  distance: number,
): void {
  for (let position = distance; position + 1 < tokens.length; position++) {
    const row = logitsRow(logits, position);
    const expected = tokens[position + 1]!;
    totals.nll += logSumExp(row) - row[expected]!;
    totals.hits += argmax(row) === expected ? 1 : 0;
    totals.tokens++;
  }
}
