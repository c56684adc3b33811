import { describe, expect, it } from "vitest";
import { tinyBloom, tinyLlama } from "../../test/reference/synthetic-checkpoint.js";
import { readConfig } from "./read-config.js";

const read = (config: Readonly<Record<string, unknown>>) => readConfig(JSON.stringify(config));

describe("readConfig", () => {
  it("reads every number of a Llama config from its own field", () => {
    expect(read({ ...tinyLlama, num_key_value_heads: 2 }).shape).toEqual({
      hiddenSize: 32,
      layers: 2,
      heads: 4,
      kvHeads: 2,
      headDim: 16,
      vocabSize: 61,
      maxPositions: 128,
      tiedEmbeddings: false,
    });
  });

  it("derives what a BLOOM config leaves out", () => {
    const { shape, blocks } = read(tinyBloom);
    expect(shape).toMatchObject({ kvHeads: 6, headDim: 8, tiedEmbeddings: true });
    expect(blocks[0]!.mlp).toMatchObject({ width: 192, activation: "gelu_pytorch_tanh" });
  });

  it("takes KV heads and head size from heads and hidden size where they are absent or null", () => {
    const { shape } = read({ ...tinyLlama, num_key_value_heads: undefined, head_dim: null });
    expect(shape).toMatchObject({ kvHeads: 4, headDim: 8 });
  });

  it("reads a sliding window for Mistral alone", () => {
    const window = (modelType: string, value: unknown) =>
      read({ ...tinyLlama, model_type: modelType, sliding_window: value }).blocks[1]!.attention.window;
    expect(window("mistral", 16)).toBe(16);
    expect(window("mistral", null)).toBeUndefined();
    expect(window("mistral", undefined)).toBe(4096);
    expect(window("llama", 16)).toBeUndefined();
  });

  it("keeps fields that it does not know", () => {
    expect(read({ ...tinyLlama, my_note: [1] }).fields).toMatchObject({ my_note: [1] });
  });

  it("maps other names of an activation", () => {
    const activation = (name: string) => read({ ...tinyLlama, hidden_act: name }).blocks[0]!.mlp.activation;
    expect(activation("swish")).toBe("silu");
    expect(activation("gelu_new")).toBe("gelu_pytorch_tanh");
  });
});

describe("readConfig survives", () => {
  it("a list that is nested too deeply to be printed", () => {
    const deep = "[".repeat(20_000) + "]".repeat(20_000);
    const text = JSON.stringify({ ...tinyLlama, hidden_act: "@" }).replace('"@"', deep);
    expect(() => readConfig(text)).toThrow("config.json: hidden_act must be a text, found a list of 1");
  });

  it("a count of experts that is an object without a value", () => {
    const { notices } = read({ ...tinyLlama, num_experts: { toString: 1, valueOf: 1 } });
    expect(notices.join()).toContain("num_experts");
  });

  it("names without end, which its messages cut", () => {
    const long = "x".repeat(20_000);
    for (const changed of [{ model_type: long }, { hidden_act: long }])
      expect(() => read({ ...tinyLlama, ...changed })).toThrow(/^.{1,1000}$/s);
    expect(read({ ...tinyLlama, [long]: 1 }).notices.join().length).toBeLessThan(1000);
  });

  it("more heads with norms of their own than memory has room for", () => {
    const heads = { num_attention_heads: 65_536, num_key_value_heads: 65_536, num_hidden_layers: 4096 };
    expect(() => read({ ...tinyLlama, ...heads, model_type: "stablelm", qk_layernorm: true })).toThrow(
      expect.objectContaining({ code: "unsupported-model" }),
    );
  });
});

describe("readConfig refuses", () => {
  const malformed: readonly [name: string, text: string, message: RegExp][] = [
    ["what is no JSON", "{ model_type:", /config\.json is not JSON/],
    ["an array", "[]", /config\.json: .*object/],
    ["null", "null", /config\.json: .*object/],
    ["a missing model_type", '{"vocab_size": 3}', /config\.json: .*\n?.*model_type/],
    ["a vocabulary of text", JSON.stringify({ ...tinyLlama, vocab_size: "61" }), /vocab_size/],
    [
      "a negative size",
      JSON.stringify({ ...tinyLlama, hidden_size: -32 }),
      /hidden_size must be a positive integer, found -32/,
    ],
    [
      "a fraction of a layer",
      JSON.stringify({ ...tinyLlama, num_hidden_layers: 1.5 }),
      /num_hidden_layers must be a positive integer, found 1\.5/,
    ],
    [
      "a missing size",
      JSON.stringify({ ...tinyLlama, hidden_size: undefined }),
      /hidden_size must be a positive integer, found nothing/,
    ],
    [
      "KV heads that do not divide the heads",
      JSON.stringify({ ...tinyLlama, num_key_value_heads: 3 }),
      /3 KV heads do not divide a query head count of 4/,
    ],
    [
      "heads that do not divide the hidden size",
      JSON.stringify({ ...tinyBloom, n_head: 5 }),
      /5 heads do not divide a hidden size of 48; is it the config of these weights/,
    ],
    [
      "a negative epsilon",
      JSON.stringify({ ...tinyLlama, rms_norm_eps: -1 }),
      /rms_norm_eps must be a number of 0 or more, found -1/,
    ],
  ];
  it.each(malformed)("%s", (_, text, message) => {
    expect(() => readConfig(text)).toThrow(
      expect.objectContaining({ code: "malformed-checkpoint", message: expect.stringMatching(message) }),
    );
  });

  const unsupported: readonly [name: string, change: Record<string, unknown>, message: RegExp][] = [
    [
      "other families",
      { model_type: "llama5" },
      /model_type "llama5" is not supported; kvfold reads llama, mistral, .*, bloom/,
    ],
    [
      "quantised checkpoints",
      { quantization_config: { bits: 4 } },
      /quantised checkpoints are not supported; fold the float checkpoint and quantise the result/,
    ],
    ["unknown activations", { hidden_act: "mish" }, /activation "mish" is not supported; known are silu/],
    ["activations named like object members", { hidden_act: "constructor" }, /"constructor"/],
    ["latent attention", { model_type: "deepseek_v3" }, /"deepseek_v3" uses multi-head latent attention/],
    ["state-space hybrids", { model_type: "zamba2" }, /"zamba2" mixes attention with state-space/],
    ["shared KV layers", { model_type: "gemma3n_text" }, /"gemma3n_text" shares the KV cache of some layers/],
    ["experts", { model_type: "qwen3_moe" }, /"qwen3_moe" is a mixture of experts/],
    ["encoders", { model_type: "bert" }, /"bert" is an encoder/],
    ["experts under another name", { num_local_experts: 8 }, /num_local_experts is 8: .* mixture of experts/],
    [
      "BLOOM's post-norm residual",
      { ...tinyBloom, apply_residual_connection_post_layernorm: true },
      /BLOOM with apply_residual_connection_post_layernorm/,
    ],
  ];
  it.each(unsupported)("%s", (_, change, message) => {
    expect(() => read({ ...tinyLlama, ...change })).toThrow(
      expect.objectContaining({ code: "unsupported-model", message: expect.stringMatching(message) }),
    );
  });
});
