import type { HalfNorms, NormSource } from "../model/block-spec.js";
import type { BlockWeights, EmbeddingWeights, HeadWeights, NormWeights } from "../model/decoder-weights.js";
import type { Checkpoint } from "./checkpoint.js";
import { loadAttention } from "./stored-attention.js";
import { loadLinear } from "./stored-linear.js";
import { loadMlp } from "./stored-mlp.js";
import { loadNorm } from "./stored-norm.js";
import type { ReadTensor } from "./stored-tensor.js";

/** Loads what lies before the first block. */
export async function loadEmbedding(checkpoint: Checkpoint): Promise<EmbeddingWeights> {
  const { read, config } = checkpoint;
  const { hiddenSize, vocabSize } = config.shape;
  const { tokens, width, scale, norm, positions, projection } = config.embedding;
  return {
    table: await read(`${tokens}.weight`, [vocabSize, width]),
    scale,
    norm: norm && (await loadNorm(read, norm, hiddenSize)),
    positions: positions && {
      table: await read(`${positions.name}.weight`, [positions.rows, hiddenSize]),
      offset: positions.offset,
    },
    projection: projection && (await loadLinear(read, projection, width, hiddenSize)),
  };
}

/** Loads what lies after the last block; the table is left out where it is tied to the embeddings. */
export async function loadHead(checkpoint: Checkpoint): Promise<HeadWeights> {
  const { read, config } = checkpoint;
  const { hiddenSize, vocabSize } = config.shape;
  const { norm, projection, table, tied, bias, softCap } = config.head;
  const { width } = config.embedding;
  return {
    norm: norm && (await loadNorm(read, norm, hiddenSize)),
    projection: projection && (await loadLinear(read, projection, hiddenSize, width)),
    table: tied ? undefined : await read(`${table}.weight`, [vocabSize, width]),
    bias: bias ? await read(`${table}.bias`, [vocabSize]) : undefined,
    softCap,
  };
}

/** Loads block `layer`, unfolded. */
export async function loadBlock({ read, config }: Checkpoint, layer: number): Promise<BlockWeights> {
  const { hiddenSize } = config.shape;
  const spec = config.blocks[layer]!;
  return {
    arrangement: spec.arrangement,
    attentionNorms: await loadHalfNorms(read, spec.attentionNorms, hiddenSize),
    attention: await loadAttention(read, spec.attention, hiddenSize),
    mlpNorms: await loadHalfNorms(read, spec.mlpNorms, hiddenSize),
    mlp: await loadMlp(read, spec.mlp, hiddenSize),
  };
}

async function loadHalfNorms(
  read: ReadTensor,
  { input, output, residual }: HalfNorms<NormSource>,
  size: number,
): Promise<HalfNorms<NormWeights>> {
  return {
    input: input && (await loadNorm(read, input, size)),
    output: output && (await loadNorm(read, output, size)),
    residual: residual && (await loadNorm(read, residual, size)),
  };
}
