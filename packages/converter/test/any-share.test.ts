import { describe, expect, it } from "vitest";
import {
  syntheticCheckpoint,
  tinyBloom,
  tinyLlama,
} from "../../decoder/test/reference/synthetic-checkpoint.js";
import { openFamily } from "../../decoder/test/support/families.js";
import { planFold } from "../src/index.js";
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
const folds: readonly [name: string, config: Config, options: foldInMemory.Options, achieved: number][] = [
  ["3 heads at 1/4", llama(3, 32), { keep: "1/4" }, 1 / 4],
  ["3 heads at 1/4, keys and values together", llama(3, 16), { keep: "1/4", method: "anchored" }, 1 / 4],
  ["5 heads at 1/4, keys and values together", llama(5, 16), { keep: "1/4", method: "anchored" }, 1 / 4],
  ["one head at 1/16, keys and values together", llama(1, 16), { keep: "1/16", method: "anchored" }, 1 / 16],
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

describe("methods go with what families do to queries and keys", () => {
  it.each([
    ["one KV head", "falcon-mqa", "commuting-reallocated"],
    ["norms before the rotation", "qwen3", "mean"],
    ["norms after the rotation", "hunyuan_v1_dense", "commuting"],
    ["heads that turn in part", "phi", "lorc"],
    ["layers with and without RoPE", "smollm3", "eigen-attention"],
    ["learned positions", "gpt2", "lorc"],
  ] as const)("%s: %s, %s", async (_, family, method) => {
    const windows = randomWindows(3, 16, { vocabulary: 96 });
    const options = { windows, keep: "1/2", method, heal: "none", maxPositions: 64 } as const;
    const folded = await foldInMemory(await openFamily(family), options);
    const expected = await projectorLogits(folded, windows[0]!);
    const scale = Math.max(1, ...expected.map(Math.abs));
    const difference = largestDifference(await foldedLogits(folded, windows[0]!), expected);
    expect(difference / scale).toBeLessThan(LOGIT_TOLERANCE);
  });

  it.each(["commuting", "commuting-reallocated"])("%s refuses heads that turn in part", async (method) => {
    const { config } = await openFamily("phi");
    expect(() => planFold(config, { keep: "1/2", method })).toThrow(
      expect.objectContaining({
        code: "invalid-option",
        option: "method",
        message: `method ${method}: it needs heads that turn as a whole, but of those of layer 0 only 8 of 16 numbers do; use method anchored`,
      }),
    );
  });

  it.each(["commuting", "mean"])(
    "%s gives no checkpoint where queries and keys are normalised",
    async (method) => {
      const { config } = await openFamily("qwen3");
      expect(() => planFold(config, { keep: "1/2", method, formats: ["hf"] })).toThrow(
        expect.objectContaining({
          code: "invalid-option",
          option: "formats",
          message: `formats hf: method ${method} leaves products after the norms of queries and keys, which plain code does not have; format onnx can hold it`,
        }),
      );
      expect(planFold(config, { keep: "1", formats: ["hf"] }).achieved).toBe(1);
    },
  );
});
