import type { AttentionWeights } from "../model/decoder-weights.js";

/**
 * Heads of a layer that may keep tokens of their own: KV heads where keys and values have as many, and the widest heads that
 * hold whole ones of both otherwise. The groups of joint latents keep the same tokens, since they are read in the same runs.
 */
export const raggedHeads = ({
  keys,
  values,
  joint,
}: Pick<AttentionWeights, "keys" | "values" | "joint">): number =>
  joint === undefined ? greatestDivisor(keys.heads, values.heads) : 1;

const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));
