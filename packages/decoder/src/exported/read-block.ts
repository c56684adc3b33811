import { reorderLinear, reorderNorm, storedToHalfSplit } from "../checkpoint/rope-order.js";
import { attentionSpec } from "../checkpoint/stored-attention.js";
import type { BlockSpec, HalfNorms, HeadNormSource, NormSource } from "../model/block-spec.js";
import type {
  AttentionWeights,
  BlockWeights,
  HeadNormWeights,
  NormWeights,
} from "../model/decoder-weights.js";
import type { MatchedBlock } from "./match-block.js";
import type { Norm } from "./match-norm.js";
import { partReader } from "./match-part.js";
import { readProduct } from "./match-product.js";

/** Reads the weights of a block, its heads in half-split order as those of checkpoints are. */
export async function readMatchedBlock(block: MatchedBlock, spec: BlockSpec): Promise<BlockWeights> {
  const { mlp, attentionNorms, mlpNorms } = block;
  const read = partReader();
  return {
    arrangement: spec.arrangement,
    attentionNorms: await readHalfNorms(attentionNorms, spec.attentionNorms),
    attention: await readAttention(block, spec, read),
    mlpNorms: await readHalfNorms(mlpNorms, spec.mlpNorms),
    mlp: {
      activation: spec.mlp.activation,
      gate: mlp.gate && (await read(mlp.gate)),
      up: await read(mlp.up),
      down: await readProduct(mlp.down),
    },
  };
}

async function readAttention(
  { attention: { query, key, value, output } }: MatchedBlock,
  { attention: source }: BlockSpec,
  read: ReturnType<typeof partReader>,
): Promise<AttentionWeights> {
  const order = storedToHalfSplit(source);
  const cache = { heads: source.kvHeads, size: source.headDim };
  const norm = async (found: Norm | undefined, from: HeadNormSource | undefined) =>
    found && from && reorderNorm(await readHeadNorm(found, from), order);
  return {
    ...attentionSpec(source),
    keys: cache,
    values: cache,
    query: reorderLinear(await read(query.part), order),
    key: reorderLinear(await read(key.part), order),
    value: await read(value),
    output: await readProduct(output),
    queryNorm: await norm(query.norm, source.queryNorm),
    keyNorm: await norm(key.norm, source.keyNorm),
    rotated: undefined,
  };
}

const readHeadNorm = async (
  { weight }: Norm,
  { kind, epsilon, over }: HeadNormSource,
): Promise<HeadNormWeights> => ({ kind, epsilon, over, weight: await weight.read() });

export async function readNorm({ weight, bias }: Norm, { kind, epsilon }: NormSource): Promise<NormWeights> {
  return { kind, epsilon, weight: await weight.read(), bias: await bias?.read() };
}

const readHalfNorms = async (
  { input, output }: HalfNorms<Norm>,
  sources: HalfNorms<NormSource>,
): Promise<HalfNorms<NormWeights>> => ({
  input: input && (await readNorm(input, sources.input!)),
  output: output && (await readNorm(output, sources.output!)),
});
