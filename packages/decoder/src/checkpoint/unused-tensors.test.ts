import { describe, expect, it } from "vitest";
import { tinyBloom, tinyLlama } from "../../test/reference/synthetic-checkpoint.js";
import { readConfig } from "../families/read-config.js";
import { tensorNames } from "./tensor-names.js";
import { reviewUnusedTensors } from "./unused-tensors.js";

/** What is said of a model's own tensors and some more. */
function review(more: readonly string[], fields = tinyLlama): readonly string[] {
  const config = readConfig(JSON.stringify(fields));
  return reviewUnusedTensors("memory", config, new Set([...tensorNames(config), ...more]));
}

describe("reviewUnusedTensors", () => {
  it("has nothing to say of a checkpoint that fits", () => {
    expect(review([])).toEqual([]);
  });

  it.each([
    ["a bias that the config denies", "model.layers.1.self_attn.q_proj.bias"],
    ["a bias of a norm that has none", "model.layers.0.input_layernorm.bias"],
    ["a layer beyond the config's count", "model.layers.2.mlp.up_proj.weight"],
    ["a bias of the head", "lm_head.bias"],
    ["another tower", "vision_tower.encoder.layers.0.mlp.fc1.weight"],
  ])("names %s", (_, name) => {
    expect(review([name])).toEqual([
      `memory: the model that config.json describes does not use ${name}; it is ignored, as in transformers`,
    ]);
  });

  it("counts what it does not name", () => {
    const names = Array.from({ length: 9 }, (_, index) => `extra.${index}.weight`);
    expect(review(names)).toEqual([
      expect.stringMatching(/does not use extra\.0\.weight, .*extra\.5\.weight and 3 more; they are ignored/),
    ]);
  });

  it.each([
    "model.layers.0.self_attn.q_norm.weight",
    "model.layers.1.post_feedforward_layernorm.weight",
    "model.layers.1.self_attn.sinks",
    "model.layers.0.mlp.experts.0.up_proj.weight",
    "model.layers.0.mlp.up_proj.qweight",
  ])("refuses %s: a layer that is read has more than its family knows", (name) => {
    expect(() => review([name])).toThrow(
      expect.objectContaining({
        code: "unsupported-model",
        message: `memory: Llama has no ${name}, but the checkpoint does; is model_type in config.json right?`,
      }),
    );
  });

  it("is silent about buffers that older versions saved", () => {
    expect(review(["model.layers.0.self_attn.rotary_emb.inv_freq"])).toEqual([]);
    const gpt2 = { model_type: "gpt2", vocab_size: 9, n_embd: 8, n_head: 2, n_layer: 1 };
    expect(review(["h.0.attn.bias", "transformer.h.0.attn.masked_bias"], gpt2)).toEqual([]);
  });

  it("knows tensors with and without their prefix, and names the copy of one that is stored twice", () => {
    const config = readConfig(JSON.stringify(tinyBloom));
    const prefixed = [...tensorNames(config)].map((name) => `transformer.${name}`);
    expect(reviewUnusedTensors("memory", config, new Set(prefixed))).toEqual([]);
    expect(review(["transformer.h.0.input_layernorm.weight"], tinyBloom)).toEqual([
      expect.stringMatching(/does not use transformer\.h\.0\.input_layernorm\.weight; it is ignored/),
    ]);
  });
});
