import type { AttentionTensors } from "../families/family.js";
import type {
  AttentionWeights,
  BlockWeights,
  EmbeddingWeights,
  HeadWeights,
  Linear,
  NormWeights,
} from "../model/decoder-weights.js";
import { transposeFloats } from "../model/transpose.js";
import type { Checkpoint } from "./checkpoint.js";

/** Reads module `name` (with the checkpoint's prefix) of a family's templates. */
interface ModuleReader {
  linear(template: string, inputs: number, outputs: number): Promise<Linear>;
  norm(template: string): Promise<NormWeights>;
}

/** Loads the token embeddings, and their norm where the family has one. */
export async function loadEmbedding(checkpoint: Checkpoint): Promise<EmbeddingWeights> {
  const { family, shape } = checkpoint.config;
  const { modules } = family;
  const name = resolve(checkpoint, `${modules.embedding}.weight`);
  const table = await checkpoint.read(name, [shape.vocabSize, shape.hiddenSize]);
  const norm = modules.embeddingNorm && (await moduleReader(checkpoint, 0).norm(modules.embeddingNorm));
  return { table, norm: norm || undefined };
}

/** Loads the final norm, and the output head unless it is tied to the embeddings. */
export async function loadHead(checkpoint: Checkpoint): Promise<HeadWeights> {
  const { family, shape } = checkpoint.config;
  const norm = await moduleReader(checkpoint, 0).norm(family.modules.finalNorm);
  if (shape.tiedEmbeddings) return { norm, table: undefined };
  const name = resolve(checkpoint, `${family.modules.head}.weight`);
  return { norm, table: await checkpoint.read(name, [shape.vocabSize, shape.hiddenSize]) };
}

/** Loads block `layer`, unfolded. */
export async function loadBlock(checkpoint: Checkpoint, layer: number): Promise<BlockWeights> {
  const { family, shape } = checkpoint.config;
  const { modules } = family;
  const { hiddenSize, intermediateSize } = shape;
  const reader = moduleReader(checkpoint, layer);
  return {
    attentionNorm: await reader.norm(modules.attentionNorm),
    attention: await loadAttention(checkpoint, reader, layer),
    mlpNorm: await reader.norm(modules.mlpNorm),
    mlp: {
      gate:
        (modules.mlp.gate && (await reader.linear(modules.mlp.gate, hiddenSize, intermediateSize))) ||
        undefined,
      up: await reader.linear(modules.mlp.up, hiddenSize, intermediateSize),
      down: await reader.linear(modules.mlp.down, intermediateSize, hiddenSize),
    },
  };
}

async function loadAttention(
  checkpoint: Checkpoint,
  reader: ModuleReader,
  layer: number,
): Promise<AttentionWeights> {
  const { hiddenSize, heads, kvHeads, headDim } = checkpoint.config.shape;
  const names = checkpoint.config.family.modules.attention;
  const cache = { heads: kvHeads, size: headDim };
  return {
    heads,
    headDim,
    keys: cache,
    values: cache,
    ...(await loadProjections(checkpoint, reader, names, layer)),
    output: await reader.linear(names.output, heads * headDim, hiddenSize),
    rotated: undefined,
  };
}

async function loadProjections(
  checkpoint: Checkpoint,
  reader: ModuleReader,
  names: AttentionTensors,
  layer: number,
): Promise<Pick<AttentionWeights, "query" | "key" | "value">> {
  const { hiddenSize, heads, kvHeads, headDim } = checkpoint.config.shape;
  if ("query" in names) {
    return {
      query: await reader.linear(names.query, hiddenSize, heads * headDim),
      key: await reader.linear(names.key, hiddenSize, kvHeads * headDim),
      value: await reader.linear(names.value, hiddenSize, kvHeads * headDim),
    };
  }
  const fused = await moduleReader(checkpoint, layer).linear(
    names.queryKeyValuePerHead,
    hiddenSize,
    heads * 3 * headDim,
  );
  return {
    query: takePart(fused, heads, headDim, 0),
    key: takePart(fused, heads, headDim, 1),
    value: takePart(fused, heads, headDim, 2),
  };
}

/** Columns `[head, part, :]` of a fused `[D, heads * 3 * headDim]` projection. */
function takePart(fused: Linear, heads: number, headDim: number, part: 0 | 1 | 2): Linear {
  const outputs = heads * headDim;
  const pick = (source: Float32Array, rows: number): Float32Array => {
    const picked = new Float32Array(rows * outputs);
    for (let row = 0; row < rows; row++) {
      for (let head = 0; head < heads; head++) {
        const start = row * fused.outputs + (head * 3 + part) * headDim;
        picked.set(source.subarray(start, start + headDim), row * outputs + head * headDim);
      }
    }
    return picked;
  };
  return {
    inputs: fused.inputs,
    outputs,
    weight: pick(fused.weight, fused.inputs),
    bias: fused.bias && pick(fused.bias, 1),
  };
}

function moduleReader(checkpoint: Checkpoint, layer: number): ModuleReader {
  const optional = async (name: string, size: number) =>
    checkpoint.has(name) ? checkpoint.read(name, [size]) : undefined;
  const locate = (template: string) => {
    const module = template.replace("{layer}", String(layer));
    return resolve(checkpoint, `${module}.weight`).slice(0, -".weight".length);
  };
  return {
    async linear(template, inputs, outputs) {
      const name = locate(template);
      const stored = await checkpoint.read(`${name}.weight`, [outputs, inputs]);
      return {
        inputs,
        outputs,
        weight: transposeFloats(stored, outputs, inputs),
        bias: await optional(`${name}.bias`, outputs),
      };
    },
    async norm(template) {
      const name = locate(template);
      const { hiddenSize } = checkpoint.config.shape;
      return {
        weight: await checkpoint.read(`${name}.weight`, [hiddenSize]),
        bias: await optional(`${name}.bias`, hiddenSize),
      };
    },
  };
}

/** The tensor's name with the first of the family's prefixes under which it exists. */
function resolve(checkpoint: Checkpoint, tensor: string): string {
  const { prefixes } = checkpoint.config.family.modules;
  const prefix = prefixes.find((candidate) => checkpoint.has(candidate + tensor));
  return (prefix ?? prefixes[0] ?? "") + tensor;
}
