import type { ModelConfig } from "../families/read-config.js";
import type { HalfNorms, NormSource } from "../model/block-spec.js";
import type {
  BlockWeights,
  EmbeddingWeights,
  HeadWeights,
  Linear,
  NormWeights,
} from "../model/decoder-weights.js";
import { storeAttention } from "./stored-attention.js";
import { storeLinear } from "./stored-linear.js";
import { storeMlp } from "./stored-mlp.js";
import { storeNorm } from "./stored-norm.js";
import type { StoredTensor } from "./stored-tensor.js";

/** The tensors before the first block. */
export function embeddingTensors(
  { embedding: source, shape, prefixes }: ModelConfig,
  weights: EmbeddingWeights,
): readonly StoredTensor[] {
  const { positions, projection, norm } = source;
  const tensors: StoredTensor[] = [
    {
      name: `${source.tokens}.weight`,
      shape: [shape.vocabSize, source.width],
      data: weights.table,
      matrix: weights.storedTable,
    },
  ];
  if (norm !== undefined) tensors.push(...storeNorm(norm, weights.norm!));
  if (positions !== undefined) {
    const rows = [positions.rows, shape.hiddenSize];
    tensors.push({ name: `${positions.name}.weight`, shape: rows, data: weights.positions!.table });
  }
  if (projection !== undefined) tensors.push(...storeLinear(projection, weights.projection!));
  return prefixed(prefixes, tensors);
}

/** The tensors of one block that keeps whole heads, under the family's names and in its layout. */
export function blockTensors(
  config: ModelConfig,
  layer: number,
  block: BlockWeights,
): readonly StoredTensor[] {
  const source = config.blocks[layer]!;
  const filled = config.standard.biases === undefined ? block : fillBiases(block);
  const tensors = [
    ...storeHalfNorms(source.attentionNorms, block.attentionNorms),
    ...storeAttention(source.attention, filled.attention),
    ...storeHalfNorms(source.mlpNorms, block.mlpNorms),
    ...storeMlp(source.mlp, filled.mlp),
  ];
  // The halves of a parallel block may read through one norm, which is stored once.
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return prefixed(config.prefixes, [...byName.values()]);
}

/** The tensors after the last block. */
export function headTensors(
  { head: source, embedding, shape, prefixes }: ModelConfig,
  { norm, projection, table, storedTable, bias }: HeadWeights,
): readonly StoredTensor[] {
  const body = [
    ...(source.norm === undefined ? [] : storeNorm(source.norm, norm!)),
    ...(source.projection === undefined ? [] : storeLinear(source.projection, projection!)),
  ];
  const name = source.table;
  const rows = table && {
    name: `${name}.weight`,
    shape: [shape.vocabSize, embedding.width],
    data: table,
    matrix: storedTable,
  };
  return [
    ...prefixed(prefixes, body),
    ...(rows === undefined ? [] : [rows]),
    ...(bias === undefined ? [] : [{ name: `${name}.bias`, shape: [shape.vocabSize], data: bias }]),
  ];
}

/** Names as the causal language model of the family has them: with the first prefix. */
const prefixed = (prefixes: readonly string[], tensors: readonly StoredTensor[]): readonly StoredTensor[] =>
  tensors.map((tensor) => ({ ...tensor, name: `${prefixes[0] ?? ""}${tensor.name}` }));

function storeHalfNorms(
  source: HalfNorms<NormSource>,
  { input, output, residual }: HalfNorms<NormWeights>,
): readonly StoredTensor[] {
  return [
    ...(source.input === undefined ? [] : storeNorm(source.input, input!)),
    ...(source.output === undefined ? [] : storeNorm(source.output, output!)),
    ...(source.residual === undefined ? [] : storeNorm(source.residual, residual!)),
  ];
}

/** A switch of the config gives biases to all of a half's projections or to none: the missing ones become zero. */
function fillBiases(block: BlockWeights): BlockWeights {
  const { attention, mlp } = block;
  const [query, key, value, output] = fill([
    attention.query,
    attention.key,
    attention.value,
    attention.output,
  ]);
  const [up, down, gate] = fill([mlp.up, mlp.down, ...(mlp.gate === undefined ? [] : [mlp.gate])]);
  return {
    ...block,
    attention: { ...attention, query: query!, key: key!, value: value!, output: output! },
    mlp: { ...mlp, up: up!, down: down!, gate },
  };
}

function fill(linears: readonly Linear[]): readonly Linear[] {
  if (linears.every(({ bias }) => bias === undefined)) return linears;
  return linears.map((linear) => ({ ...linear, bias: linear.bias ?? new Float32Array(linear.outputs) }));
}
