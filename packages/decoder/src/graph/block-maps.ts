import type {
  AttentionWeights,
  BlockWeights,
  KeyBasis,
  Linear,
  MlpWeights,
} from "../model/decoder-weights.js";

/** Which part of a block a map is; `latents` are the maps to and from folded heads that stand beside the projections. */
export type BlockPart = "query" | "key" | "value" | "output" | "gate" | "up" | "down" | "latents";

/** A linear map of a block, as its graphs hold it. */
export interface BlockMap {
  /** The initializer's name below the path of the block: `attn.q_proj.MatMul.weight`. */
  readonly name: string;
  readonly part: BlockPart;
  /** `[…, inputs, outputs]`: one matrix, or one for each head or group. */
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

type Change = (map: BlockMap) => Float32Array;

/** All linear maps of a block. */
export function blockMaps(block: BlockWeights): readonly BlockMap[] {
  const maps: BlockMap[] = [];
  changeMaps(block, (map) => {
    maps.push(map);
    return map.data;
  });
  return maps;
}

/** The same block with other numbers in its linear maps. */
export const changeMaps = (block: BlockWeights, change: Change): BlockWeights => ({
  ...block,
  attention: changeAttention(block.attention, change),
  mlp: changeMlp(block.mlp, change),
});

function changeMlp(mlp: MlpWeights, change: Change): MlpWeights {
  return {
    ...mlp,
    gate: mlp.gate && changeLinear("mlp.gate_proj", "gate", mlp.gate, change),
    up: changeLinear("mlp.up_proj", "up", mlp.up, change),
    down: changeLinear("mlp.down_proj", "down", mlp.down, change),
  };
}

function changeAttention(attention: AttentionWeights, change: Change): AttentionWeights {
  return {
    ...attention,
    query: changeLinear("attn.q_proj", "query", attention.query, change),
    ...changeKeysAndValues(attention, change),
    output: changeLinear("attn.o_proj", "output", attention.output, change),
    rotated:
      attention.rotated &&
      changeBasis(attention, attention.rotated, ["attn.q_basis", "attn.k_basis"], change),
    unrotated:
      attention.unrotated &&
      changeBasis(attention, attention.unrotated, ["attn.q_code", "attn.k_code"], change),
    expanded: changeExpansion(attention, change),
    joint: changeJoint(attention, change),
  };
}

/** Keys that enter a joint latent by their projection alone share one matrix with values: see `emitJointLatents`. */
function changeKeysAndValues(
  { key, value, joint }: AttentionWeights,
  change: Change,
): Pick<AttentionWeights, "key" | "value"> {
  if (joint !== undefined && joint.encodeKeys === undefined)
    return { key: changeLinear("attn.kv_proj", "key", key, change), value };
  return {
    key: changeLinear("attn.k_proj", "key", key, change),
    value: changeLinear("attn.v_proj", "value", value, change),
  };
}

/** What was rounded to four bits, or is still in a checkpoint, is neither any more. */
function changeLinear(name: string, part: BlockPart, linear: Linear, change: Change): Linear {
  const { inputs, outputs, weight: data, bias } = linear;
  const weight = change({ name: `${name}.MatMul.weight`, part, dims: [inputs, outputs], data });
  return weight === data ? linear : { inputs, outputs, weight, bias };
}

const changeLatents = (name: string, dims: readonly number[], data: Float32Array, change: Change) =>
  change({ name, part: "latents", dims, data });

function changeBasis(
  { heads, headDim, keys }: AttentionWeights,
  { encode, decode }: KeyBasis,
  [queries, codes]: readonly [string, string],
  change: Change,
): KeyBasis {
  return {
    encode: changeLatents(`${codes}.encode`, encodeDims(encode, keys), encode, change),
    decode: changeLatents(`${queries}.decode`, [heads, headDim, keys.size], decode, change),
  };
}

/** See `emitKeyEncoding`. */
function encodeDims(encode: Float32Array, { heads, size }: AttentionWeights["keys"]): readonly number[] {
  const group = encode.length / (heads * size);
  return heads === 1 ? [group, size] : [heads, group, size];
}

function changeExpansion(attention: AttentionWeights, change: Change): AttentionWeights["expanded"] {
  const { expanded, keys, kvHeads, headDim } = attention;
  if (expanded === undefined) return undefined;
  const { encode, decode } = expanded;
  const width = (kvHeads / keys.heads) * headDim;
  const dims = [decode.length / (keys.size * width), keys.size, width];
  return {
    encode: encode && changeLatents("attn.k_code.encode", encodeDims(encode, keys), encode, change),
    decode: changeLatents("attn.k_expansion.decode", dims, decode, change),
  };
}

function changeJoint(attention: AttentionWeights, change: Change): AttentionWeights["joint"] {
  const { joint, keys, values, heads, kvHeads, headDim } = attention;
  if (joint === undefined) return undefined;
  const [groups, rank] = [keys.heads, keys.size + values.size];
  const width = (kvHeads / groups) * headDim;
  const { encodeKeys, decodeKeys, decodeValues } = joint;
  const readers = [...(groups === 1 ? [] : [groups]), rank, width];
  const outputs = [heads, rank, decodeValues.length / (heads * rank)];
  return {
    chunks: joint.chunks,
    statistics: joint.statistics,
    encodeKeys: encodeKeys && changeLatents("attn.k_code.encode", [groups, width, rank], encodeKeys, change),
    decodeKeys: changeLatents("attn.k_expansion.decode", readers, decodeKeys, change),
    decodeValues: changeLatents("attn.v_expansion.decode", outputs, decodeValues, change),
  };
}
