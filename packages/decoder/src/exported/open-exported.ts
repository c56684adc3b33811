import { checkFinite } from "@kvfold/safetensors";
import type { Checkpoint, FolderSource, TensorPiece } from "../checkpoint/checkpoint.js";
import { type GraphFile, openGraphFile } from "../checkpoint/graph-file.js";
import { inFile } from "../checkpoint/in-file.js";
import { blockTensors, embeddingTensors, headTensors } from "../checkpoint/store-weights.js";
import type { StoredTensor } from "../checkpoint/stored-tensor.js";
import { tensorNames } from "../checkpoint/tensor-names.js";
import { untie } from "../checkpoint/tied-head.js";
import { storedName } from "../checkpoint/unused-tensors.js";
import { DecoderError } from "../decoder-error.js";
import { type ModelConfig, readConfig } from "../families/read-config.js";
import { transposeFloats } from "../model/transpose.js";
import { checkDecoder } from "./check-decoder.js";
import { exportedGraph } from "./exported-graph.js";
import { type MatchedDecoder, requireDecoder } from "./match-decoder.js";
import { readMatchedBlock, readNorm } from "./read-block.js";
import { readSmallTensors } from "./small-tensors.js";

export declare namespace openExported {
  interface Options extends readConfig.Options {
    /** The graph in the folder. */
    readonly graph: string;
  }
}

/**
 * Opens a decoder graph that another tool wrote (ONNX Runtime GenAI's builder, optimum, the converter of transformers.js) as
 * the checkpoint that it was made from: its weights, under the names that its `config.json` gives them. Blocks are found by
 * what the graph computes, from the logits back to the token ids, and names in the graph count for nothing.
 *
 * Numerics: float32 comes back to the bit where the graph holds it as it was; float16 and codes of few bits as they were
 * rounded.
 *
 * @throws {DecoderError} `unsupported-model` for a graph that computes something else than the config says, naming the node;
 * `malformed-checkpoint` when sizes differ from the config's, or a file is missing or broken; `unreadable-checkpoint` where the
 * disk or network fails, also when tensors are read.
 */
export async function openExported(
  folder: FolderSource,
  { graph: path, ...options }: openExported.Options,
): Promise<Checkpoint> {
  const stated = readConfig(await readConfigText(folder, path), options);
  const file = await openGraphFile(folder, path);
  try {
    const graph = exportedGraph(file, await readSmallTensors(file));
    const decoder = requireDecoder(graph, stated);
    await checkDecoder(graph, decoder, stated);
    const { config, notices } = settleHead(file.name, decoder, stated);
    return {
      name: folder.name,
      config,
      notices: [...config.notices, ...notices],
      ...tensorsOf(file, decoder, config),
      // Outputs take sixteen-bit floats from checkpoints alone.
      leave: () => undefined,
      contents: () => readContents(file),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

const CONFIG = "config.json";

async function readConfigText(folder: FolderSource, path: string): Promise<string> {
  const text = await inFile(folder, CONFIG, () => folder.readText(CONFIG));
  if (text !== undefined) return text;
  throw new DecoderError(
    "malformed-checkpoint",
    `${folder.name} has no ${CONFIG}, which says what ${path} computes; copy that of the model it was made from into the folder`,
  );
}

/** A head in few bits beside a float table is no longer the table that it was tied to. */
function settleHead(file: string, { embedding, head }: MatchedDecoder, config: ModelConfig) {
  const isTied = embedding.origin === head.origin || !(embedding.isQuantised || head.isQuantised);
  if (!config.head.tied || isTied) return { config, notices: [] };
  const notice = `${file}: config.json ties the head to the embedding, but the graph rounds them differently; each is used as it is there`;
  return { config: untie(config), notices: [notice] };
}

/** The tensors of a checkpoint, made of the part of the graph that they belong to when one of them is read. */
function tensorsOf(
  { name: file }: GraphFile,
  decoder: MatchedDecoder,
  config: ModelConfig,
): Pick<Checkpoint, "has" | "read"> {
  const known = tensorNames(config);
  let loaded: { readonly part: Part; readonly tensors: Promise<TensorMap> } | undefined;
  const load = (part: Part): Promise<TensorMap> => {
    if (loaded?.part !== part) loaded = { part, tensors: loadPart(part, decoder, config) };
    return loaded.tensors;
  };
  return {
    has: (tensor) => known.has(tensor),
    async read(tensor, shape) {
      const tensors = await load(partOf(tensor, config));
      const stored = tensors.get(storedName(tensor, tensors, config) ?? "");
      // Exporters leave out biases of zeros.
      if (stored === undefined && tensor.endsWith(".bias")) return new Float32Array(shape[0]!);
      if (stored?.shape.length === shape.length && stored.shape.every((dim, axis) => dim === shape[axis]))
        return finite(file, stored);
      throw new DecoderError(
        "malformed-checkpoint",
        `${file}: ${tensor} has shape [${stored?.shape.join(", ") ?? ""}], but config.json asks for [${shape.join(", ")}]`,
      );
    },
  };
}

function finite(file: string, { name, data }: StoredTensor): Float32Array {
  try {
    checkFinite(name, data);
    return data;
  } catch (cause) {
    throw new DecoderError("malformed-checkpoint", `${file}: ${(cause as Error).message}`, { cause });
  }
}

/** What is read at once: a block by its number, or what lies around the blocks. */
type Part = number | "embedding" | "head";
type TensorMap = ReadonlyMap<string, StoredTensor>;

function partOf(tensor: string, { blocks, embedding }: ModelConfig): Part {
  if (tensor.startsWith(`${embedding.tokens}.`)) return "embedding";
  const [, number] = /\.(\d+)\./.exec(tensor) ?? [];
  return number === undefined || Number(number) >= blocks.length ? "head" : Number(number);
}

async function loadPart(part: Part, decoder: MatchedDecoder, config: ModelConfig): Promise<TensorMap> {
  const tensors = await storedTensors(part, decoder, config);
  return new Map(tensors.map((tensor) => [tensor.name, tensor]));
}

async function storedTensors(
  part: Part,
  { embedding, blocks, norm, head }: MatchedDecoder,
  config: ModelConfig,
): Promise<readonly StoredTensor[]> {
  if (typeof part === "number")
    return blockTensors(config, part, await readMatchedBlock(blocks[part]!, config.blocks[part]!));
  if (part === "embedding") {
    const table = await embedding.read();
    const none = { scale: undefined, norm: undefined, positions: undefined, projection: undefined };
    return embeddingTensors(config, { ...none, table });
  }
  const { inputs, outputs } = head;
  const table = config.head.tied ? undefined : transposeFloats(await head.weight(), inputs, outputs);
  return headTensors(config, {
    norm: await readNorm(norm, config.head.norm!),
    projection: undefined,
    table,
    bias: await head.bias?.read(),
    softCap: config.head.softCap,
  });
}

/** Large enough for the disk's full speed. */
const PIECE_BYTES = 2 ** 23;

/** The graph's files as they are, to tell one graph from another. */
async function* readContents(file: GraphFile): AsyncGenerator<TensorPiece> {
  for (const name of file.paths) {
    const source = await file.source(name);
    const shape = [source.byteLength];
    for (let offset = 0; offset === 0 || offset < source.byteLength; offset += PIECE_BYTES) {
      const bytes = await source.read(offset, Math.min(source.byteLength, offset + PIECE_BYTES));
      yield { name, dtype: "U8", shape, offset, bytes };
    }
  }
}
