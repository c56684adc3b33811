import { type CausalLM, createCausalLM } from "../src/causal-lm.js";
import { openTestSession } from "./node-session.js";
import { buildTinyDecoder, type TinyDecoder, VOCABULARY } from "./tiny-decoder.js";

/** A language model over a real session of a tiny decoder. */
export async function openTinyModel(
  decoder: TinyDecoder,
  options: createCausalLM.Options = {},
): Promise<CausalLM> {
  return createCausalLM(await openTestSession(buildTinyDecoder(decoder)), options);
}

/** A fixed sequence of token ids without a short period. */
export const tinyTokens = (count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => (i * i * 7 + i * 17 + 3) % VOCABULARY);

/** Largest difference between two arrays of the same length. */
export function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i]!)), 0);
}
