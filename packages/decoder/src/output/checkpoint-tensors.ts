import type { ModelConfig } from "../checkpoint/read-config.js";
import type {
  BlockWeights,
  EmbeddingWeights,
  HeadWeights,
  Linear,
  NormWeights,
} from "../model/decoder-weights.js";
import { transposeFloats } from "../model/transpose.js";

/** A tensor of a checkpoint, as Hugging Face stores it: projections `[outputs, inputs]`. */
export interface CheckpointTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The tensors before the first block. */
export function embeddingTensors(
  { family, shape }: ModelConfig,
  { table, norm }: EmbeddingWeights,
): readonly CheckpointTensor[] {
  const { modules } = family;
  const rows = {
    name: `${modules.embedding}.weight`,
    shape: [shape.vocabSize, shape.hiddenSize],
    data: table,
  };
  return norm === undefined ? [rows] : [rows, ...normTensors(modules.embeddingNorm!, norm)];
}

/** The tensors of one block of a family with separate projections, under the family's names. */
export function blockTensors(
  { family }: ModelConfig,
  layer: number,
  block: BlockWeights,
): readonly CheckpointTensor[] {
  const { modules } = family;
  const names = modules.attention as Extract<typeof modules.attention, { readonly query: string }>;
  const { attention, mlp } = block;
  const named = (template: string) => template.replace("{layer}", String(layer));
  return [
    ...normTensors(named(modules.attentionNorm), block.attentionNorm),
    ...withBiases(family.biasOptions !== undefined, [
      [named(names.query), attention.query],
      [named(names.key), attention.key],
      [named(names.value), attention.value],
      [named(names.output), attention.output],
    ]),
    ...normTensors(named(modules.mlpNorm), block.mlpNorm),
    ...withBiases(family.biasOptions !== undefined, [
      ...(mlp.gate === undefined ? [] : [[named(modules.mlp.gate!), mlp.gate] as const]),
      [named(modules.mlp.up), mlp.up],
      [named(modules.mlp.down), mlp.down],
    ]),
  ];
}

/** The tensors behind the last block. */
export function headTensors(
  { family, shape }: ModelConfig,
  { norm, table }: HeadWeights,
): readonly CheckpointTensor[] {
  const tensors = normTensors(family.modules.finalNorm, norm);
  if (table === undefined) return tensors;
  return [
    ...tensors,
    { name: `${family.modules.head}.weight`, shape: [shape.vocabSize, shape.hiddenSize], data: table },
  ];
}

/** A switch of the config gives biases to all of a layer's projections or to none: the missing ones are zero. */
function withBiases(
  allOrNone: boolean,
  linears: readonly (readonly [string, Linear])[],
): readonly CheckpointTensor[] {
  const fill = allOrNone && linears.some(([, { bias }]) => bias !== undefined);
  return linears.flatMap(([name, linear]) => {
    const bias = linear.bias ?? (fill ? new Float32Array(linear.outputs) : undefined);
    return linearTensors(name, { ...linear, bias });
  });
}

function linearTensors(name: string, { inputs, outputs, weight, bias }: Linear): readonly CheckpointTensor[] {
  const stored = {
    name: `${name}.weight`,
    shape: [outputs, inputs],
    data: transposeFloats(weight, inputs, outputs),
  };
  return bias === undefined ? [stored] : [stored, { name: `${name}.bias`, shape: [outputs], data: bias }];
}

const normTensors = (name: string, { weight, bias }: NormWeights): readonly CheckpointTensor[] => [
  { name: `${name}.weight`, shape: [weight.length], data: weight },
  ...(bias === undefined ? [] : [{ name: `${name}.bias`, shape: [bias.length], data: bias }]),
];
