import type { ModelConfig } from "../families/read-config.js";
import type { EmbeddingWeights, HeadWeights } from "../model/decoder-weights.js";
import { transposeFloats } from "../model/transpose.js";
import { readLinear, readNorm } from "./read-block.js";
import type { StoredTensors } from "./stored-tensors.js";

/** Reads what lies before the first block of a decoder graph that kvfold wrote. */
export async function readStoredEmbedding(
  tensors: StoredTensors,
  { embedding }: Pick<ModelConfig, "embedding">,
): Promise<EmbeddingWeights> {
  const { scale, norm, positions, projection } = embedding;
  return {
    table: (await tensors.read("model.embed_tokens.weight")).data,
    scale,
    norm: norm && (await readNorm(tensors, "model.embed_layernorm", norm)),
    // Rows that no position reads are not in the graph.
    positions: positions && {
      table: (await tensors.read("model.embed_positions.weight")).data,
      offset: 0,
    },
    projection: projection && (await readLinear(tensors, "model.project_in")),
  };
}

/** Reads what lies after the last block of a decoder graph that kvfold wrote. */
export async function readStoredHead(
  tensors: StoredTensors,
  { head }: Pick<ModelConfig, "head">,
): Promise<HeadWeights> {
  const { norm, projection, bias, softCap } = head;
  return {
    norm: norm && (await readNorm(tensors, "model.norm", norm)),
    projection: projection && (await readLinear(tensors, "lm_head.project_out")),
    table: await readTable(tensors),
    bias: bias ? (await tensors.read("lm_head.bias")).data : undefined,
    softCap,
  };
}

/** `[V, width]`: as it is stored, or from the four bits of a product; nothing where the embedding's table is the head. */
async function readTable(tensors: StoredTensors): Promise<Float32Array | undefined> {
  if (tensors.has("lm_head.weight")) return (await tensors.read("lm_head.weight")).data;
  if (!tensors.has("lm_head.MatMul.weight_Q4")) return undefined;
  const { dims, data } = await tensors.readMatrix("lm_head");
  return transposeFloats(data, dims[0]!, dims[1]!);
}
