import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesSource, decodeFloats, encodeFloats, serializeSafetensors } from "@kvfold/safetensors";
import { describe, expect, it } from "vitest";
import { text } from "../src/gguf/metadata.js";
import { unfoldedAttentionKind } from "../src/graph/stored-cache.js";
import {
  type Checkpoint,
  checkpointOutput,
  ggufObstacle,
  ggufOutput,
  loadBlock,
  type ModelOutput,
  onnxOutput,
  openCheckpoint,
  streamModel,
} from "../src/index.js";
import { spooledSafetensors } from "../src/node/spooled-safetensors.js";
import { familyNames, openFamily, readFields } from "./support/families.js";
import { memorySink } from "./support/memory-sink.js";

type Half = "F16" | "BF16";

/** The family's checkpoint in sixteen-bit floats, of which one may be damaged. */
async function openHalves(
  name: string,
  dtype: Half,
  damage?: (values: Float32Array, tensor: string) => void,
) {
  const tensors = [];
  const stored = await openFamily(name);
  for await (const piece of stored.contents()) {
    const data = decodeFloats(piece.bytes, piece.dtype);
    damage?.(data, piece.name);
    tensors.push({ name: piece.name, dtype, shape: piece.shape, data: encodeFloats(data, dtype) });
  }
  const bytes = serializeSafetensors(tensors);
  return openCheckpoint({
    name: "memory",
    readText: async (file) => (file === "config.json" ? JSON.stringify(readFields(name)) : undefined),
    openBytes: async () => bytesSource(bytes),
  });
}

type Write = (
  checkpoint: Checkpoint,
  outputOf: (output: ModelOutput) => ModelOutput,
) => Promise<readonly string[]>;

const onnx =
  (dtype: "fp32" | "fp16"): Write =>
  async (checkpoint, outputOf) => {
    const files = new Map<string, Uint8Array>();
    const { config } = checkpoint;
    const attention = unfoldedAttentionKind(config.blocks);
    const output = onnxOutput({ config, attention, maxPositions: 64, dtype, open: memorySink(files) });
    await streamModel(checkpoint, [outputOf(output)]);
    return digests(files);
  };

const gguf =
  (dtype: "fp32" | "fp16" | "q8"): Write =>
  async (checkpoint, outputOf) => {
    const files = new Map<string, Uint8Array>();
    const { config } = checkpoint;
    if (ggufObstacle(config, 16) !== undefined) return [];
    const { kvHeads } = config.shape;
    const tokenizer = { "tokenizer.ggml.model": text("gpt2") };
    const options = { config, dtype, kvHeads, newBiases: false, maxPositions: 16, tokenizer };
    await streamModel(checkpoint, [outputOf(ggufOutput({ ...options, open: memorySink(files) }))]);
    return digests(files);
  };

const hf =
  (dtype: "F32" | "F16"): Write =>
  async (checkpoint, outputOf) => {
    const folder = await mkdtemp(join(tmpdir(), "kvfold-stored-"));
    try {
      const path = join(folder, "model.safetensors");
      const sink = await spooledSafetensors(path, dtype);
      await streamModel(checkpoint, [outputOf(checkpointOutput(checkpoint.config, sink))]);
      return [digest(await readFile(path))];
    } finally {
      await rm(folder, { recursive: true });
    }
  };

const formats: Readonly<Record<string, Write>> = {
  "onnx fp32": onnx("fp32"),
  "onnx fp16": onnx("fp16"),
  "hf F32": hf("F32"),
  "hf F16": hf("F16"),
  "gguf fp32": gguf("fp32"),
  "gguf fp16": gguf("fp16"),
  "gguf q8": gguf("q8"),
};

/** Comparing megabytes number by number is slow. */
const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

const digests = (files: ReadonlyMap<string, Uint8Array>) =>
  [...files].map(([name, bytes]) => `${name} ${digest(bytes)}`);

const asItIs = (output: ModelOutput) => output;
const byNumbers = (output: ModelOutput) => ({ ...output, takesStored: false });

/** Families take turns: what is done for one kind of floats is the same in all of them. */
const halfOf = (name: string): Half => (familyNames.indexOf(name) % 2 === 0 ? "F16" : "BF16");

describe("weights that stay in their checkpoint", () => {
  it.each(familyNames)("%s: every format has the bytes that numbers give", async (name) => {
    const checkpoint = await openHalves(name, halfOf(name));
    for (const [format, write] of Object.entries(formats)) {
      const stored = await write(checkpoint, asItIs);
      expect({ format, written: stored }).toEqual({ format, written: await write(checkpoint, byNumbers) });
    }
  });

  it.each(["F16", "BF16"] as const)(
    "%s that is not finite is refused, naming file and tensor",
    async (dtype) => {
      const damaged = await openHalves("llama", dtype, (values, tensor) => {
        if (tensor.endsWith("layers.1.mlp.up_proj.weight")) values[70] = Number.NaN;
      });
      const reads = Object.values(formats).map((write) => () => write(damaged, asItIs));
      for (const read of [...reads, () => loadBlock(damaged, 1)]) {
        await expect(read()).rejects.toThrow(
          expect.objectContaining({
            code: "malformed-checkpoint",
            message: expect.stringMatching(
              /model\.safetensors: tensor model\.layers\.1\.mlp\.up_proj\.weight: expected finite values, found NaN at index 70/,
            ),
          }),
        );
      }
    },
  );
});

it("names a number of bfloat16 that float16 cannot hold", async () => {
  const large = await openHalves("llama", "BF16", (values, tensor) => {
    if (tensor.endsWith("layers.0.mlp.up_proj.weight")) values[5] = 70_000;
  });
  for (const format of ["onnx fp16", "hf F16", "gguf fp16"]) {
    await expect(formats[format]!(large, asItIs)).rejects.toThrow(
      expect.objectContaining({
        code: "overflow",
        message: expect.stringMatching(
          /tensor .*: expected magnitudes of at most 65504, .* at index 5; write it as F32/,
        ),
      }),
    );
  }
});
