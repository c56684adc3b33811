import { describe, expect, it } from "vitest";
import { referenceLogits } from "../../decoder/test/reference/decoder.js";
import {
  syntheticCheckpoint,
  tinyBloom,
  tinyLlama,
} from "../../decoder/test/reference/synthetic-checkpoint.js";
import { planFold } from "../src/index.js";
import { foldToBoth } from "./support/fold-to-both.js";
import { LOGIT_TOLERANCE, largestDifference, randomWindows } from "./support/numbers.js";

const windows = randomWindows(4, 40, { vocabulary: 61 });

const config = (change: Readonly<Record<string, unknown>>) => ({ ...tinyLlama, ...change });

describe("a folded Hugging Face checkpoint", () => {
  it.each([
    ["Llama, mean", config({}), { keep: "1/2", method: "mean" }],
    ["Llama, commuting and healed with biases", config({}), { keep: "1/2", method: "commuting" }],
    ["Llama with a tied head", config({ tie_word_embeddings: true }), { keep: "1/4", method: "commuting" }],
    [
      "Qwen2 with biases and query groups, healed without new ones",
      config({ model_type: "qwen2", num_attention_heads: 8, num_key_value_heads: 4 }),
      { keep: "1/2", method: "commuting" },
    ],
    [
      "Mistral in its window",
      config({ model_type: "mistral", sliding_window: 9 }),
      { keep: "1/2", method: "commuting" },
    ],
    ["Llama unfolded", config({}), { keep: "1" }],
    ["BLOOM unfolded, which has no field for fewer KV heads", tinyBloom, { keep: "1" }],
  ] as const)(
    "computes, as plain GQA code would, what the graph computes: %s",
    async (_, fields, options) => {
      const checkpoint = await syntheticCheckpoint({ config: fields });
      const { written, logits } = await foldToBoth(checkpoint, { ...options, windows });
      const share = Number(options.keep.split("/")[1] ?? 1);
      expect(written.config.shape.kvHeads).toBe(checkpoint.config.shape.kvHeads / share);
      expect(written.config.shape.headDim).toBe(checkpoint.config.shape.headDim);
      const expected = await referenceLogits(written, windows[0]!);
      expect(largestDifference(logits, expected.data)).toBeLessThan(LOGIT_TOLERANCE);
    },
  );

  it("says in its config which projections have biases now", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const { written } = await foldToBoth(checkpoint, { keep: "1/2", method: "commuting", windows });
    expect(written.config.fields).toMatchObject({ attention_bias: true, mlp_bias: true });
    const module = (name: string) => `model.layers.0.${name}.bias`;
    for (const name of ["self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj"])
      expect(written.has(module(name))).toBe(true);
    const plain = await foldToBoth(checkpoint, { keep: "1/2", method: "mean", windows });
    expect(plain.written.config.fields).toMatchObject({ attention_bias: false, mlp_bias: false });
    expect(plain.written.has(module("self_attn.o_proj"))).toBe(false);
  });
});

describe("format hf refuses", () => {
  it("fewer heads where a family's config cannot say so", async () => {
    const { config } = await syntheticCheckpoint({ config: tinyBloom });
    expect(() => planFold(config, { keep: "1/2", method: "mean", formats: ["hf"] })).toThrow(
      "formats hf: a BLOOM checkpoint has no field for fewer KV heads; format onnx can hold it",
    );
  });

  it.each([
    [
      "methods that leave products after the rotation",
      { keep: "1/2", method: "svd-a" },
      /method svd-a leaves products after the rotation/,
    ],
    [
      "methods that expand keys before the rotation",
      { keep: "1/2", method: "lorc" },
      /method lorc leaves products before the rotation/,
    ],
    [
      "heads of another size",
      { keep: "1/2", method: "commuting", keySpan: 4, valueSpan: 4 },
      /keep 1\/2: a Hugging Face checkpoint .* 4 KV heads in these spans; the nearest it can: 1\/4, or leave/,
    ],
  ] as const)("%s", async (_, options, message) => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    expect(() => planFold(checkpoint.config, { ...options, formats: ["hf"] })).toThrow(
      expect.objectContaining({ code: "invalid-option", message: expect.stringMatching(message) }),
    );
  });
});
