import type { AttentionWeights, CacheShape } from "../../model/decoder-weights.js";

/** Joint latents of a token: one of `r` numbers for each group of heads. The cache holds them as two halves. */
export const jointShape = ({ keys, values }: Pick<AttentionWeights, "keys" | "values">): CacheShape => ({
  heads: keys.heads,
  size: keys.size + values.size,
});
