import type { ModelConfig } from "../families/read-config.js";
import type { HalfNorms, NormSource } from "../model/block-spec.js";
import {
  type BlockWeights,
  type EmbeddingWeights,
  type HeadWeights,
  NO_NUMBERS,
  type NormWeights,
} from "../model/decoder-weights.js";
import { halfBuffers, type StoredMatrix } from "../model/stored-matrix.js";
import type { Checkpoint } from "./checkpoint.js";
import type { DecoderParts } from "./decoder-parts.js";
import { loadAttention } from "./stored-attention.js";
import { loadLinear } from "./stored-linear.js";
import { loadMlp } from "./stored-mlp.js";
import { loadNorm } from "./stored-norm.js";
import type { ReadMatrix, ReadTensor } from "./stored-tensor.js";

/** Loads what lies before the first block. */
export const loadEmbedding = ({ read, config }: Checkpoint): Promise<EmbeddingWeights> =>
  readEmbedding(read, config);

/** Loads block `layer`, unfolded. */
export const loadBlock = ({ read, leave, config }: Checkpoint, layer: number): Promise<BlockWeights> => {
  const buffers = halfBuffers();
  const halves: ReadMatrix = (name, shape) => leave(name, shape, buffers);
  const reader = Object.assign((name: string, shape: readonly number[]) => read(name, shape), { halves });
  return readBlock(reader, config, layer);
};

/** Loads what lies after the last block; the table is left out where it is tied to the embeddings. */
export const loadHead = ({ read, config }: Checkpoint): Promise<HeadWeights> => readHead(read, config);

/** The parts of a checkpoint, unfolded. It must stay open as long as they are loaded. */
export const checkpointParts = (checkpoint: Checkpoint): DecoderParts => ({
  config: checkpoint.config,
  embedding: () => loadEmbedding(checkpoint),
  block: (layer) => loadBlock(checkpoint, layer),
  head: () => loadHead(checkpoint),
});

/**
 * The parts of a model for outputs that take stored weights: matrices of sixteen-bit floats that are used as they are
 * stay in the checkpoint, which must be open until the output is finished.
 */
export function leaveWeights({ read, leave, config }: Checkpoint): DecoderParts {
  const buffers = halfBuffers();
  const reader: ReadTensor = Object.assign((name: string, shape: readonly number[]) => read(name, shape), {
    leave: (name: string, shape: readonly [number, number]) => leave(name, shape, buffers),
  });
  return {
    config,
    embedding: () => readEmbedding(reader, config),
    block: (layer) => readBlock(reader, config, layer),
    head: () => readHead(reader, config),
  };
}

async function readEmbedding(read: ReadTensor, config: ModelConfig): Promise<EmbeddingWeights> {
  const { hiddenSize, vocabSize } = config.shape;
  const { tokens, width, scale, norm, positions, projection } = config.embedding;
  return {
    ...(await readTable(read, `${tokens}.weight`, [vocabSize, width])),
    scale,
    norm: norm && (await loadNorm(read, norm, hiddenSize)),
    positions: positions && {
      table: await read(`${positions.name}.weight`, [positions.rows, hiddenSize]),
      offset: positions.offset,
    },
    projection: projection && (await loadLinear(read, projection, width, hiddenSize)),
  };
}

/** A table stays in the checkpoint if `read` allows that. */
async function readTable(
  read: ReadTensor,
  tensor: string,
  shape: readonly [number, number],
): Promise<{ readonly table: Float32Array; readonly storedTable?: StoredMatrix }> {
  const storedTable = read.leave?.(tensor, shape);
  return storedTable === undefined
    ? { table: await read(tensor, shape) }
    : { table: NO_NUMBERS, storedTable };
}

async function readHead(read: ReadTensor, config: ModelConfig): Promise<HeadWeights> {
  const { hiddenSize, vocabSize } = config.shape;
  const { norm, projection, table, tied, bias, softCap } = config.head;
  const { width } = config.embedding;
  return {
    norm: norm && (await loadNorm(read, norm, hiddenSize)),
    projection: projection && (await loadLinear(read, projection, hiddenSize, width)),
    ...(tied ? { table: undefined } : await readTable(read, `${table}.weight`, [vocabSize, width])),
    bias: bias ? await read(`${table}.bias`, [vocabSize]) : undefined,
    softCap,
  };
}

async function readBlock(read: ReadTensor, config: ModelConfig, layer: number): Promise<BlockWeights> {
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
