import type { Reference } from "./families.js";

/** Tokens that the rotation tables cover: some configs name fewer than the texts have. */
export const MAX_POSITIONS = 64;

/** Dynamic NTK turns all keys anew with every token; cached ones keep their turn, in transformers as here. */
export const TURNS_ANEW: readonly string[] = ["llama-internlm"];

/** Largest difference of the last logits from those of the reference, over the largest of these. */
export function goldenError(logits: Float32Array, { last }: Reference["sequences"][number]): number {
  const expected = last.flat();
  const tail = logits.subarray(logits.length - expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, index) => Math.abs(value - tail[index]!))) / largest;
}

/** The reference is float32 as well, in another order of operations. */
export const GOLDEN_TOLERANCE = 1e-4;
