import { type AttentionRows, storedAttention } from "../src/scores/attention-rows.js";

/** Attention of two query heads that read one KV head: the last two of six tokens. */
export const twoHeads: AttentionRows = storedAttention({
  weights: Float32Array.from(
    [
      [0.1, 0.2, 0.3, 0.2, 0.2, 0],
      [0.3, 0.0, 0.1, 0.2, 0.2, 0.2],
      [0.4, 0.4, 0.2, 0.0, 0.0, 0],
      [0.0, 0.0, 0.0, 0.4, 0.2, 0.4],
    ].flat(),
  ),
  kvHeads: 1,
  heads: 2,
  queries: 2,
  tokens: 6,
});
