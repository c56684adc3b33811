import { attentionSpec } from "../checkpoint/stored-attention.js";
import { readStatistics } from "../graph/statistics-metadata.js";
import type {
  AttentionSource,
  BlockSpec,
  HalfNorms,
  HeadNormSource,
  NormSource,
} from "../model/block-spec.js";
import type {
  AttentionWeights,
  BlockWeights,
  CacheShape,
  HeadNormWeights,
  JointLatent,
  KeyBasis,
  KeyExpansion,
  LatentStatistics,
  Linear,
  NormWeights,
} from "../model/decoder-weights.js";
import type { StoredTensors } from "./stored-tensors.js";

/** What of a folded layer its tensors do not tell. */
export interface StoredLayer {
  readonly keys: CacheShape;
  readonly values: CacheShape;
  /** `[rotaryDim / 2]`, for layers with a joint latent: see `JointLatent`. */
  readonly chunks?: readonly number[] | undefined;
}

/** Reads a block that kvfold wrote into a decoder graph, folded or not, under the names that the emitters gave it. */
export async function readStoredBlock(
  tensors: StoredTensors,
  layer: number,
  spec: BlockSpec,
  shape: StoredLayer,
): Promise<BlockWeights> {
  const path = `model.layers.${layer}`;
  const halfNorms = async (half: "attn" | "mlp", input: string, norms: HalfNorms<NormSource>) => ({
    input: norms.input && (await readNorm(tensors, `${path}.${input}`, norms.input)),
    output: norms.output && (await readNorm(tensors, `${path}.${half}.output_layernorm`, norms.output)),
    residual:
      norms.residual && (await readNorm(tensors, `${path}.${half}.residual_layernorm`, norms.residual)),
  });
  const mlp = (name: string) => readLinear(tensors, `${path}.mlp.${name}_proj`);
  return {
    arrangement: spec.arrangement,
    attentionNorms: await halfNorms("attn", "input_layernorm", spec.attentionNorms),
    attention: await readAttention(tensors, layer, spec.attention, shape),
    mlpNorms: await halfNorms("mlp", "post_attention_layernorm", spec.mlpNorms),
    mlp: {
      activation: spec.mlp.activation,
      gate: spec.mlp.input.layout === "plain" ? undefined : await mlp("gate"),
      up: await mlp("up"),
      down: await mlp("down"),
    },
  };
}

export async function readNorm(tensors: StoredTensors, name: string, norm: NormSource): Promise<NormWeights> {
  const { kind, epsilon, bias } = norm;
  return {
    kind,
    epsilon,
    weight: (await tensors.read(`${name}.weight`)).data,
    bias: bias ? (await tensors.read(`${name}.bias`)).data : undefined,
  };
}

export async function readLinear(tensors: StoredTensors, module: string): Promise<Linear> {
  const { dims, data } = await tensors.readMatrix(module);
  const bias = `${module}.Add.bias`;
  return {
    inputs: dims[0]!,
    outputs: dims[1]!,
    weight: data,
    bias: tensors.has(bias) ? (await tensors.read(bias)).data : undefined,
  };
}

async function readAttention(
  tensors: StoredTensors,
  layer: number,
  source: AttentionSource,
  { keys, values, chunks }: StoredLayer,
): Promise<AttentionWeights> {
  const path = `model.layers.${layer}`;
  const at = `${path}.attn`;
  const basis = await readBases(tensors, at, chunks);
  const shape =
    basis.joint === undefined ? { keys, values } : halvesOf(source, basis.joint.decodeKeys, keys.heads);
  const norm = (side: "q" | "k", from: HeadNormSource | undefined) =>
    from && readHeadNorm(tensors, `${at}.${side}_norm`, from);
  return {
    ...attentionSpec(source),
    ...shape,
    query: await readLinear(tensors, `${at}.q_proj`),
    ...(await readKeysAndValues(tensors, at)),
    output: await readLinear(tensors, `${at}.o_proj`),
    queryNorm: await norm("q", source.queryNorm),
    keyNorm: await norm("k", source.keyNorm),
    ...basis,
    joint: basis.joint && { ...basis.joint, statistics: statisticsOf(tensors, layer, source, shape) },
    slots: readSlots(tensors, path),
  };
}

const statisticsOf = (
  { view }: StoredTensors,
  layer: number,
  { kvHeads, headDim }: AttentionSource,
  { keys, values }: Pick<StoredLayer, "keys" | "values">,
): LatentStatistics | undefined =>
  readStatistics(view.metadata, layer, {
    keys: kvHeads * headDim,
    latents: keys.heads * (keys.size + values.size),
  });

/** A joint latent of `r` numbers is cached as two halves. */
function halvesOf({ kvHeads, headDim }: AttentionSource, decodeKeys: Float32Array, groups: number) {
  const half = { heads: groups, size: decodeKeys.length / (kvHeads * headDim) / 2 };
  return { keys: half, values: half };
}

async function readKeysAndValues(
  tensors: StoredTensors,
  at: string,
): Promise<Pick<AttentionWeights, "key" | "value">> {
  const isShared = ["weight", "weight_Q4"].some((kind) => tensors.has(`${at}.kv_proj.MatMul.${kind}`));
  if (!isShared)
    return {
      key: await readLinear(tensors, `${at}.k_proj`),
      value: await readLinear(tensors, `${at}.v_proj`),
    };
  // Their sum is all that is stored, and all that counts.
  const key = await readLinear(tensors, `${at}.kv_proj`);
  return { key, value: { ...key, weight: new Float32Array(key.weight.length), bias: undefined } };
}

/** By head, the norm's own weight is 1 and the weights of the heads follow it: see `emitHeadNorm`. */
async function readHeadNorm(
  tensors: StoredTensors,
  at: string,
  source: HeadNormSource,
): Promise<HeadNormWeights> {
  const { kind, epsilon, over } = source;
  const name = over === "by-head" ? `${at}.weight` : `${at}.norm.weight`;
  return { kind, epsilon, over, weight: (await tensors.read(name)).data };
}

interface Bases {
  readonly rotated: KeyBasis | undefined;
  readonly unrotated: KeyBasis | undefined;
  readonly expanded: KeyExpansion | undefined;
  readonly joint: JointLatent | undefined;
}

/** Where keys were folded shows in the names of their bases: see `emitAttended`. */
async function readBases(
  tensors: StoredTensors,
  at: string,
  chunks: readonly number[] | undefined,
): Promise<Bases> {
  const read = async (name: string) => (await tensors.read(`${at}.${name}`)).data;
  const has = (name: string) => tensors.has(`${at}.${name}`);
  const encode = has("k_code.encode") ? await read("k_code.encode") : undefined;
  const none = { rotated: undefined, unrotated: undefined, expanded: undefined, joint: undefined };
  if (has("v_expansion.decode")) {
    const [decodeKeys, decodeValues] = [await read("k_expansion.decode"), await read("v_expansion.decode")];
    return { ...none, joint: { chunks: chunks ?? [], encodeKeys: encode, decodeKeys, decodeValues } };
  }
  if (has("k_expansion.decode"))
    return { ...none, expanded: { encode, decode: await read("k_expansion.decode") } };
  if (has("q_basis.decode"))
    return {
      ...none,
      rotated: { encode: await read("k_basis.encode"), decode: await read("q_basis.decode") },
    };
  if (encode !== undefined) return { ...none, unrotated: { encode, decode: await read("q_code.decode") } };
  return none;
}

/** The rows of the rotation tables that the pairs of a folded head take, where they have an order of their own. */
function readSlots({ view }: StoredTensors, path: string): readonly number[] | undefined {
  const name = `/${path.replace(/^model\./, "model/")}/attn/k_rotary/cos/Gather`;
  const node = view.nodes.find((candidate) => candidate.name === name);
  const value = node && view.initializers.get(node.inputs[1]!)?.value;
  if (value === undefined) return undefined;
  const { buffer, byteOffset, byteLength } = Uint8Array.from(value.bytes);
  return Array.from(new BigInt64Array(buffer, byteOffset, byteLength / 8), Number);
}
