/** The tensors of a GGUF file, in its order: what each is called, its shape, and where its values come from. */

import { inverseOrder, reorderLinear, storedToHalfSplit } from "../checkpoint/rope-order.js";
import type { BlockWeights, EmbeddingWeights, HeadWeights, Linear } from "../model/decoder-weights.js";
import type { ModelSpec } from "../model/model-spec.js";
import type { StoredMatrix } from "../model/stored-matrix.js";
import { transposeFloats } from "../model/transpose.js";
import type { Architecture } from "./architecture.js";
import { mlpInputBiases, projectionBiases } from "./block-biases.js";

/** A tensor, and how its values are taken from a part of the model. */
export interface TensorSlot<Part> {
  readonly name: string;
  readonly shape: readonly number[];
  /** Taken when the tensor is written: a transposed copy lives no longer than that. */
  readonly values: (part: Part) => Float32Array | StoredMatrix;
}

/** How the blocks of a file are laid out. */
export interface BlockLayout {
  readonly architecture: Architecture;
  /** KV heads of every layer, at most as many as the model has. */
  readonly kvHeads: number;
  /** Whether every projection has a bias, zero where the weights have none. */
  readonly newBiases: boolean;
}

export function embeddingSlots({ shape }: ModelSpec): readonly TensorSlot<EmbeddingWeights>[] {
  const { vocabSize, hiddenSize } = shape;
  return [{ name: "token_embd.weight", shape: [vocabSize, hiddenSize], values: tableOf }];
}

const tableOf = ({ table, storedTable }: EmbeddingWeights | HeadWeights) => storedTable ?? table!;

/** Without a table of its own the embedding is the head. */
export function headSlots({ shape, head }: ModelSpec): readonly TensorSlot<HeadWeights>[] {
  const { vocabSize, hiddenSize } = shape;
  const norm = normSlot<HeadWeights>("output_norm", hiddenSize, (part) => part.norm!.weight);
  if (head.tied) return [norm];
  return [norm, { name: "output.weight", shape: [vocabSize, hiddenSize], values: tableOf }];
}

/** The tensors of block `layer`. */
export function blockSlots(
  { shape, blocks }: ModelSpec,
  layer: number,
  { architecture, kvHeads, newBiases }: BlockLayout,
): readonly TensorSlot<BlockWeights>[] {
  const { hiddenSize } = shape;
  const { attention, mlp } = blocks[layer]!;
  const { heads, headDim } = attention;
  const order = headOrder(architecture, attention);
  const [queryBias, keyBias, valueBias] = projectionBiases(attention.projections);
  const [gateBias, upBias] = mlpInputBiases(mlp);
  const linear = (name: string, [inputs, outputs]: readonly [number, number], bias: boolean, pick: Pick) =>
    linearSlots(`blk.${layer}.${name}`, { inputs, outputs, bias: bias || newBiases }, pick);
  const norm = (name: string, size: number, pick: (block: BlockWeights) => Float32Array) =>
    normSlot(`blk.${layer}.${name}`, size, pick);
  const turned =
    (pick: Pick): Pick =>
    (block) =>
      reorderLinear(pick(block), order);
  return [
    norm("attn_norm", hiddenSize, (block) => block.attentionNorms.input!.weight),
    ...linear(
      "attn_q",
      [hiddenSize, heads * headDim],
      queryBias,
      turned(({ attention: { query } }) => query),
    ),
    ...linear(
      "attn_k",
      [hiddenSize, kvHeads * headDim],
      keyBias,
      turned(({ attention: { key } }) => key),
    ),
    ...linear("attn_v", [hiddenSize, kvHeads * headDim], valueBias, (block) => block.attention.value),
    ...(architecture.headNorms
      ? [
          norm("attn_q_norm", headDim, (block) => block.attention.queryNorm!.weight),
          norm("attn_k_norm", headDim, (block) => block.attention.keyNorm!.weight),
        ]
      : []),
    ...linear(
      "attn_output",
      [heads * headDim, hiddenSize],
      attention.output.bias,
      (block) => block.attention.output,
    ),
    norm("ffn_norm", hiddenSize, (block) => block.mlpNorms.input!.weight),
    ...linear("ffn_gate", [hiddenSize, mlp.width], gateBias, (block) => block.mlp.gate!),
    ...linear("ffn_up", [hiddenSize, mlp.width], upBias, (block) => block.mlp.up),
    ...linear("ffn_down", [mlp.width, hiddenSize], mlp.down.bias, (block) => block.mlp.down),
  ];
}

type Pick = (block: BlockWeights) => Linear;

/** From half-split order, in which blocks are in memory, to the order of the architecture. */
function headOrder(
  { ropeLayout }: Architecture,
  { rope, headDim }: ModelSpec["blocks"][number]["attention"],
) {
  const toHalfSplit = storedToHalfSplit({ rope, headDim, ropeLayout });
  return toHalfSplit && inverseOrder(toHalfSplit);
}

function linearSlots(
  name: string,
  { inputs, outputs, bias }: { readonly inputs: number; readonly outputs: number; readonly bias: boolean },
  pick: Pick,
): readonly TensorSlot<BlockWeights>[] {
  const weight: TensorSlot<BlockWeights> = {
    name: `${name}.weight`,
    shape: [outputs, inputs],
    values: (block) => {
      const linear = pick(block);
      if (!bias && linear.bias !== undefined) throw new Error(`${name} has a bias, which was not planned`);
      return rowsOfOutputs(linear);
    },
  };
  if (!bias) return [weight];
  return [
    weight,
    {
      name: `${name}.bias`,
      shape: [outputs],
      values: (block) => pick(block).bias ?? new Float32Array(outputs),
    },
  ];
}

/** `[outputs, inputs]`. */
function rowsOfOutputs({ inputs, outputs, weight, stored }: Linear): Float32Array | StoredMatrix {
  return stored === undefined ? transposeFloats(weight, inputs, outputs) : stored.matrix;
}

const normSlot = <Part>(
  name: string,
  size: number,
  values: (part: Part) => Float32Array,
): TensorSlot<Part> => ({ name: `${name}.weight`, shape: [size], values });
