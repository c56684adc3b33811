import { describe, expect, it } from "vitest";
import {
  syntheticCheckpoint,
  tinyBloom,
  tinyLlama,
} from "../../decoder/test/reference/synthetic-checkpoint.js";
import type { planFold } from "../src/index.js";
import { foldedLogits, foldInMemory } from "./support/fold-in-memory.js";
import { LOGIT_TOLERANCE, largestDifference, randomWindows } from "./support/numbers.js";
import { projectorLogits } from "./support/projector-form.js";

/** A Llama with three query heads to each KV head, as SmolLM2-135M has. */
const llama = (kvHeads: number, headDim: number) => ({
  ...tinyLlama,
  num_attention_heads: 3 * kvHeads,
  num_key_value_heads: kvHeads,
  head_dim: headDim,
});
const bloom = (heads: number, headDim: number) => ({
  ...tinyBloom,
  n_head: heads,
  hidden_size: heads * headDim,
});

type Config = Readonly<Record<string, unknown>>;
const folds: readonly [name: string, config: Config, options: planFold.Options, achieved: number][] = [
  ["3 heads at 1/4", llama(3, 32), { keep: "1/4" }, 1 / 4],
  ["3 heads at 1/4, keys before RoPE", llama(3, 16), { keep: "1/4", method: "latent-pre-rope" }, 1 / 4],
  ["3 heads at 1/3, whole", llama(3, 16), { keep: "1/3", method: "commuting" }, 1 / 3],
  ["3 heads at 2/3, two whole", llama(3, 16), { keep: "2/3", method: "commuting" }, 2 / 3],
  ["3 heads at 0.3 in pairs", llama(3, 20), { keep: "0.3", method: "commuting-reallocated" }, 0.3],
  ["one head at 1/2", llama(1, 16), { keep: "1/2" }, 1 / 2],
  ["one head at 1/16, one number", llama(1, 16), { keep: "1/16", method: "svd-w" }, 1 / 16],
  ["one head at 1/16, a pair", llama(1, 16), { keep: "1/16", method: "commuting-reallocated" }, 1 / 8],
  ["5 heads at 0.7, in eights", llama(5, 16), { keep: "0.7", method: "svd-a" }, 56 / 80],
  ["5 heads at 3/16, a step of eight away", llama(5, 16), { keep: "3/16", method: "paper" }, 16 / 80],
  ["7 heads at 1/8, an odd rank", llama(7, 8), { keep: "1/8", method: "lorc" }, 7 / 56],
  ["2 heads at 1/3, each alone", llama(2, 16), { keep: "1/3", method: "eigen-attention" }, 5 / 16],
  ["BLOOM, 3 heads at 1/2", bloom(3, 16), { keep: "1/2" }, 1 / 2],
  ["BLOOM, 5 heads at 1/7", bloom(5, 16), { keep: "1/7", method: "svd-w" }, 12 / 80],
];

describe("any share of any number of heads folds, runs and computes what it says", () => {
  it.each(folds)("%s", async (_, config, options, achieved) => {
    const windows = randomWindows(3, 24, { vocabulary: 61 });
    const folded = await foldInMemory(await syntheticCheckpoint({ config }), {
      windows,
      heal: "none",
      ...options,
    });
    expect(folded.plan.achieved).toBeCloseTo(achieved, 12);
    const tokens = windows[0]!;
    const expected = await projectorLogits(folded, tokens);
    expect(largestDifference(await foldedLogits(folded, tokens), expected)).toBeLessThan(LOGIT_TOLERANCE);
  });
});
