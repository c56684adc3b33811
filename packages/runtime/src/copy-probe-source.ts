import type { Random } from "./random.js";
import { RuntimeError } from "./runtime-error.js";

/** Draws `count` tokens: what a copy probe repeats, and what stands between. */
export type CopySource = (count: number, random: Random) => Int32Array;

/**
 * Tokens drawn one by one. Of a vocabulary all are equally likely; of a text each is as likely as it is frequent there.
 *
 * @throws {RuntimeError} `invalid-argument` when there are none to draw from.
 *
 * @example
 * ```ts
 * import { createRandom, randomTokens } from "@kvfold/runtime";
 *
 * Array.from(randomTokens([7])(3, createRandom(1))) // => [7, 7, 7]
 * ```
 */
export function randomTokens(tokens: ArrayLike<number>): CopySource {
  requireTokens("randomTokens", tokens, 1);
  return (count, random) => Int32Array.from({ length: count }, () => tokens[pick(tokens.length, random)]!);
}

/**
 * Passages of a text, from anywhere in it.
 *
 * @throws {RuntimeError} `invalid-argument` when the text is empty, and from the source when it is shorter than a passage.
 *
 * @example
 * ```ts
 * import { createRandom, randomPassages } from "@kvfold/runtime";
 *
 * Array.from(randomPassages([5, 6, 7, 8])(4, createRandom(1))) // => [5, 6, 7, 8]
 * ```
 */
export function randomPassages(text: ArrayLike<number>): CopySource {
  requireTokens("randomPassages", text, 1);
  return (count, random) => {
    requireTokens("randomPassages", text, count);
    const start = pick(text.length - count + 1, random);
    return Int32Array.from({ length: count }, (_, index) => text[start + index]!);
  };
}

const pick = (count: number, random: Random): number => Math.floor(random() * count);

function requireTokens(name: string, { length }: ArrayLike<number>, count: number): void {
  if (length >= count) return;
  throw new RuntimeError(
    "invalid-argument",
    `${name}: expected at least ${count} tokens to draw from, found ${length}: give a longer text, or ask for shorter distances`,
  );
}
