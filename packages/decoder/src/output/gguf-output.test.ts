import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../test/reference/synthetic-checkpoint.js";
import { openFamily } from "../../test/support/families.js";
import { memorySink } from "../../test/support/memory-sink.js";
import { type ReadGguf, readGguf } from "../../test/support/read-gguf.js";
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { text } from "../gguf/metadata.js";
import { ggufOutput } from "./gguf-output.js";
import { streamModel } from "./stream-model.js";

const open = (
  { config }: Checkpoint,
  options: Partial<ggufOutput.Options> & Pick<ggufOutput.Options, "open">,
) =>
  ggufOutput({
    config,
    dtype: "fp32",
    kvHeads: config.shape.kvHeads,
    newBiases: false,
    maxPositions: config.shape.maxPositions,
    tokenizer: { "tokenizer.ggml.model": text("gpt2") },
    ...options,
  });

async function write(checkpoint: Checkpoint, options: Partial<ggufOutput.Options> = {}): Promise<ReadGguf> {
  const files = new Map<string, Uint8Array>();
  const output = open(checkpoint, { open: memorySink(files), ...options });
  await streamModel(checkpoint, [output]);
  return readGguf(files.get(output.fileName)!);
}

/**
 * Rows of a head change from half-split to interleaved order, as docs/gguf.md of ggml gives it in numpy:
 * `reshape(heads, 2, d / 2, columns).swapaxes(1, 2)`.
 */
function interleave(rows: Float32Array, heads: number, headDim: number): Float32Array {
  const columns = rows.length / (heads * headDim);
  return rows.map((_, index) => {
    const [row, column] = [Math.floor(index / columns), index % columns];
    const [head, within] = [Math.floor(row / headDim), row % headDim];
    const from = head * headDim + (within % 2) * (headDim / 2) + (within >> 1);
    return rows[from * columns + column]!;
  });
}

describe("ggufOutput", () => {
  it("writes the checkpoint's tensors under llama.cpp's names, queries and keys in its order", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const { tensors, version } = await write(checkpoint);
    expect(version).toBe(3);
    const stored = (name: string, shape: readonly number[]) => checkpoint.read(`model.${name}.weight`, shape);
    const module = "layers.1.self_attn";
    const query = await stored(`${module}.q_proj`, [64, 32]);
    expect(tensors.get("blk.1.attn_q.weight")).toMatchObject({ dimensions: [32, 64], type: 0 });
    expect(tensors.get("blk.1.attn_q.weight")!.values).toEqual(interleave(query, 4, 16));
    const key = await stored(`${module}.k_proj`, [64, 32]);
    expect(tensors.get("blk.1.attn_k.weight")!.values).toEqual(interleave(key, 4, 16));
    const plain = [
      ["token_embd", "embed_tokens", [61, 32]],
      ["blk.1.attn_v", `${module}.v_proj`, [64, 32]],
      ["blk.1.attn_output", `${module}.o_proj`, [32, 64]],
      ["blk.1.attn_norm", "layers.1.input_layernorm", [32]],
      ["blk.1.ffn_norm", "layers.1.post_attention_layernorm", [32]],
      ["blk.1.ffn_gate", "layers.1.mlp.gate_proj", [56, 32]],
      ["blk.1.ffn_up", "layers.1.mlp.up_proj", [56, 32]],
      ["blk.1.ffn_down", "layers.1.mlp.down_proj", [32, 56]],
      ["output_norm", "norm", [32]],
    ] as const;
    for (const [name, source, shape] of plain)
      expect(tensors.get(`${name}.weight`)!.values).toEqual(await stored(source, shape));
    expect(tensors.size).toBe(3 + 2 * 9);
  });

  it("starts every tensor at a multiple of 32 and leaves no gaps", async () => {
    const { tensors, byteLength } = await write(await syntheticCheckpoint({ config: tinyLlama }), {
      dtype: "fp16",
    });
    const sizes = { 0: 4, 1: 2 } as const;
    let end = [...tensors.values()][0]!.offset;
    for (const { offset, type, values } of tensors.values()) {
      expect(offset).toBe(end);
      expect(offset % 32).toBe(0);
      end = Math.ceil((offset + sizes[type as 0 | 1] * values.length) / 32) * 32;
    }
    expect(byteLength).toBe(end);
  });

  it("states the model's sizes under the architecture's name", async () => {
    const { metadata } = await write(await openFamily("qwen3"), {
      maxPositions: 40,
      metadata: { "kvfold.keep": "1/2" },
    });
    expect(Object.fromEntries(metadata)).toEqual({
      "general.architecture": "qwen3",
      "general.type": "model",
      "general.file_type": 0,
      "general.quantization_version": 2,
      "qwen3.vocab_size": 96,
      "qwen3.context_length": 40,
      "qwen3.embedding_length": 64,
      "qwen3.block_count": 2,
      "qwen3.feed_forward_length": 96,
      "qwen3.attention.head_count": 4,
      "qwen3.attention.head_count_kv": 2,
      "qwen3.attention.key_length": 16,
      "qwen3.attention.value_length": 16,
      "qwen3.attention.layer_norm_rms_epsilon": Math.fround(1e-6),
      "qwen3.rope.dimension_count": 16,
      "qwen3.rope.freq_base": 10_000,
      "kvfold.keep": "1/2",
      "tokenizer.ggml.model": "gpt2",
    });
  });

  it("holds Llama 3.1's scaling as divisors of frequencies, and others as keys", async () => {
    const scaled = await write(await openFamily("llama"));
    const factors = scaled.tensors.get("rope_freqs.weight")!;
    expect(factors).toMatchObject({ dimensions: [8], type: 0 });
    // A wavelength of 2 pi lies between 16 / 4 and 16 / 1 tokens; longer ones are divided by 8.
    const smooth = (16 / (2 * Math.PI) - 1) / (4 - 1);
    expect(factors.values[0]).toBeCloseTo(1 / ((1 - smooth) / 8 + smooth), 6);
    expect(factors.values.at(-1)).toBe(8);
    const yarn = await write(await openFamily("llama-yarn"));
    expect(yarn.tensors.has("rope_freqs.weight")).toBe(false);
    expect(Object.fromEntries(yarn.metadata)).toMatchObject({
      "llama.rope.scaling.type": "yarn",
      "llama.rope.scaling.factor": 4,
      "llama.rope.scaling.original_context_length": 16,
    });
  });

  it("quantises matrices whose rows are whole blocks, and no others", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const exact = await write(checkpoint);
    const { tensors, metadata } = await write(checkpoint, { dtype: "q8" });
    expect(metadata.get("general.file_type")).toBe(7);
    const typeOf = (name: string) => tensors.get(`${name}.weight`)!.type;
    expect(["token_embd", "blk.0.attn_q", "blk.0.ffn_up", "output"].map(typeOf)).toEqual([8, 8, 8, 8]);
    // Its rows have 56 numbers.
    expect(typeOf("blk.0.ffn_down")).toBe(1);
    expect(typeOf("blk.0.attn_norm")).toBe(0);
    for (const [name, { values }] of tensors) {
      const original = exact.tensors.get(name)!.values;
      const largest = Math.max(...original.map(Math.abs));
      const error = Math.max(...values.map((value, i) => Math.abs(value - original[i]!)));
      // Half of a scale that the largest value of all sets, and what the scale itself is rounded by.
      expect(error).toBeLessThanOrEqual(largest * (0.5 / 127 + 2 ** -11));
    }
  });

  it("gives every projection a bias where folding makes some", async () => {
    const { tensors, metadata } = await write(await openFamily("qwen2"), {
      newBiases: true,
      maxPositions: 8,
    });
    expect(metadata.get("general.architecture")).toBe("llama");
    expect(tensors.get("blk.3.ffn_down.bias")!.values).toEqual(new Float32Array(64));
    expect(tensors.get("blk.3.attn_q.bias")!.values.some((value) => value !== 0)).toBe(true);
  });

  it("refuses a model that llama.cpp has no decoder for", async () => {
    const checkpoint = await openFamily("granite");
    expect(() => open(checkpoint, { open: memorySink(new Map()) })).toThrow(
      expect.objectContaining({
        code: "unsupported-model",
        message:
          "gguf: llama.cpp has no plain decoder for this model (layer 0 multiplies its scores by 0.2); write onnx",
      }),
    );
  });

  it.each([0, 2000, 20_000])("closes its file when the disk is full after %i bytes", async (capacity) => {
    let [written, openFiles] = [0, 0];
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const output = open(checkpoint, {
      open: async () => {
        openFiles++;
        return {
          write: async ({ byteLength }) => {
            written += byteLength;
            if (written > capacity) throw new Error("ENOSPC: no space left on device");
          },
          close: async () => {
            openFiles--;
          },
        };
      },
    });
    await expect(streamModel(checkpoint, [output])).rejects.toThrow(
      expect.objectContaining({
        code: "write-failed",
        message: "model-f32.gguf could not be written (ENOSPC: no space left on device)",
      }),
    );
    expect(openFiles).toBe(0);
  });
});
