import { encodeFloats, serializeSafetensors } from "@kvfold/safetensors";
import { describe, expect, it } from "vitest";
import {
  memoryFolder,
  syntheticCheckpoint,
  tinyBloom,
  tinyLlama,
} from "../../test/reference/synthetic-checkpoint.js";
import { openCheckpoint } from "./checkpoint.js";
import { loadBlock, loadEmbedding, loadHead } from "./load-weights.js";

describe("loadBlock", () => {
  it("transposes projections to [inputs, outputs]", async () => {
    const checkpoint = await syntheticCheckpoint({ config: { ...tinyLlama, num_key_value_heads: 2 } });
    const { attention } = await loadBlock(checkpoint, 1);
    const stored = await checkpoint.read("model.layers.1.self_attn.k_proj.weight", [32, 32]);
    expect(attention.key).toMatchObject({ inputs: 32, outputs: 32, bias: undefined });
    expect(attention.key.weight[3 * 32 + 5]).toBe(stored[5 * 32 + 3]);
    expect(attention).toMatchObject({
      heads: 4,
      headDim: 16,
      keys: { heads: 2, size: 16 },
      values: { heads: 2, size: 16 },
      rotated: undefined,
    });
    expect(attention.query.outputs).toBe(64);
    expect(attention.output).toMatchObject({ inputs: 64, outputs: 32 });
  });

  it.each(["F16", "BF16", "F32"] as const)(
    "reads %s as it would read any tensor, and turns it",
    async (dtype) => {
      const checkpoint = await syntheticCheckpoint({
        config: { ...tinyLlama, intermediate_size: 70 },
        dtype,
      });
      const { mlp } = await loadBlock(checkpoint, 0);
      const stored = await checkpoint.read("model.layers.0.mlp.up_proj.weight", [70, 32]);
      const turned = Float32Array.from(
        { length: 32 * 70 },
        (_, at) => stored[(at % 70) * 32 + Math.floor(at / 70)]!,
      );
      expect(mlp.up.weight).toEqual(turned);
    },
  );

  it("reads biases where a checkpoint has them", async () => {
    const config = { ...tinyLlama, model_type: "qwen2" };
    const checkpoint = await syntheticCheckpoint({ config });
    const { attention, mlp } = await loadBlock(checkpoint, 0);
    const stored = await checkpoint.read("model.layers.0.self_attn.q_proj.bias", [64]);
    expect(attention.query.bias).toEqual(stored);
    expect(attention.output.bias).toBeUndefined();
    expect(mlp.gate?.bias).toBeUndefined();
  });

  it("takes BLOOM's fused projection apart, head by head", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyBloom });
    const { attention, mlp } = await loadBlock(checkpoint, 0);
    const module = "transformer.h.0.self_attention.query_key_value";
    const stored = await checkpoint.read(`${module}.weight`, [144, 48]);
    const bias = await checkpoint.read(`${module}.bias`, [144]);
    for (const [part, linear] of [attention.query, attention.key, attention.value].entries()) {
      for (const [head, i, input] of [
        [0, 0, 0],
        [2, 5, 17],
        [5, 7, 47],
      ] as const) {
        const row = (head * 3 + part) * 8 + i;
        expect(linear.weight[input * 48 + head * 8 + i]).toBe(stored[row * 48 + input]);
        expect(linear.bias![head * 8 + i]).toBe(bias[row]);
      }
    }
    expect(mlp.gate).toBeUndefined();
    expect(mlp.up).toMatchObject({ inputs: 48, outputs: 192 });
  });
});

describe("loadEmbedding and loadHead", () => {
  it("read a head of its own, or none where it is tied", async () => {
    const untied = await syntheticCheckpoint({ config: tinyLlama });
    expect((await loadHead(untied)).table).toEqual(await untied.read("lm_head.weight", [61, 32]));
    const tied = await syntheticCheckpoint({ config: { ...tinyLlama, tie_word_embeddings: true } });
    expect((await loadHead(tied)).table).toBeUndefined();
  });

  it("read a norm of the embeddings for BLOOM alone", async () => {
    const bloom = await syntheticCheckpoint({ config: tinyBloom });
    expect((await loadEmbedding(bloom)).norm?.bias).toHaveLength(48);
    const llama = await syntheticCheckpoint({ config: tinyLlama });
    expect((await loadEmbedding(llama)).norm).toBeUndefined();
  });

  it("find BLOOM's tensors with and without the prefix of BloomForCausalLM", async () => {
    const table = Float32Array.from({ length: 61 * 48 }, (_, index) => index / 100);
    const vector = new Float32Array(48).fill(2);
    const tensor = (name: string, shape: readonly number[], values: Float32Array) => ({
      name,
      dtype: "F32" as const,
      shape,
      data: encodeFloats(values, "F32"),
    });
    for (const prefix of ["", "transformer."]) {
      const weights = serializeSafetensors([
        tensor(`${prefix}word_embeddings.weight`, [61, 48], table),
        tensor(`${prefix}word_embeddings_layernorm.weight`, [48], vector),
        tensor(`${prefix}word_embeddings_layernorm.bias`, [48], vector),
      ]);
      const checkpoint = await openCheckpoint(
        memoryFolder(
          new Map<string, string | Uint8Array>([
            ["config.json", JSON.stringify(tinyBloom)],
            ["model.safetensors", weights],
          ]),
        ),
      );
      expect(await loadEmbedding(checkpoint)).toMatchObject({
        table,
        norm: { weight: vector, bias: vector },
      });
    }
  });
});
