import {
  type ByteSource,
  checkFinite,
  parseHeader,
  parseShardIndex,
  readFloats,
  type TensorInfo,
} from "@kvfold/safetensors";
import { DecoderError } from "../decoder-error.js";
import { type ModelConfig, readConfig } from "./read-config.js";

/** A folder of files, wherever it is: a directory, a web server, a test. */
export interface FolderSource {
  /** For messages. */
  readonly name: string;
  /** The file's text, or `undefined` when there is no such file; fails when it is not UTF-8. */
  readText(file: string): Promise<string | undefined>;
  /** Random access to the file, or `undefined` when there is no such file. */
  openBytes(file: string): Promise<(ByteSource & { close?(): Promise<void> }) | undefined>;
}

/** A checkpoint opened for reading: its config, and its tensors one at a time. */
export interface Checkpoint {
  readonly name: string;
  readonly config: ModelConfig;
  has(tensor: string): boolean;
  /** Reads a tensor as float32, after checking its shape and that all values are finite. */
  read(tensor: string, shape: readonly number[]): Promise<Float32Array>;
  /** What each tensor is and how it begins, in the order of the files: enough to tell one checkpoint from another. */
  samples(): AsyncIterable<TensorSample>;
  close(): Promise<void>;
}

/** A tensor as its header describes it, and its first bytes. */
export interface TensorSample extends Pick<TensorInfo, "name" | "dtype" | "shape"> {
  readonly bytes: Uint8Array;
}

/** A page of the disk: training changes some number in every one of them. */
const SAMPLE_BYTES = 4096;

const SHARD_INDEX = "model.safetensors.index.json";

interface Located {
  readonly file: string;
  readonly source: ByteSource;
  readonly info: TensorInfo;
}

/**
 * Opens a Hugging Face checkpoint: `config.json` and `model.safetensors`, or the shards that
 * `model.safetensors.index.json` lists. Reads headers only; tensors are read when asked for.
 *
 * @throws {DecoderError} `malformed-checkpoint` or `unsupported-model`, naming the file; so do reads.
 */
export async function openCheckpoint(folder: FolderSource): Promise<Checkpoint> {
  const text = await folder.readText("config.json");
  if (text === undefined) throw missing(folder, "config.json", "is this a Hugging Face checkpoint folder?");
  const config = readConfig(text);
  const { tensors, close } = await openTensors(folder);
  return {
    name: folder.name,
    config,
    has: (tensor) => tensors.has(tensor),
    read: (tensor, shape) => readTensor(folder, tensors, tensor, shape),
    samples: () => sampleTensors(folder, tensors),
    close,
  };
}

async function openTensors(folder: FolderSource) {
  const files = await shardFiles(folder);
  const tensors = new Map<string, Located>();
  const sources: (ByteSource & { close?(): Promise<void> })[] = [];
  const close = async () => {
    for (const source of sources) await source.close?.();
  };
  try {
    for (const file of files) {
      const source = await folder.openBytes(file);
      if (source === undefined) throw missing(folder, file, "download all shards of the checkpoint");
      sources.push(source);
      const header = await inFile(folder, file, () => parseHeader(source));
      for (const [name, info] of header.tensors) tensors.set(name, { file, source, info });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { tensors, close };
}

async function shardFiles(folder: FolderSource): Promise<readonly string[]> {
  const index = await folder.readText(SHARD_INDEX);
  if (index === undefined) return ["model.safetensors"];
  return inFile(folder, SHARD_INDEX, () => [...new Set(parseShardIndex(index).values())]);
}

async function readTensor(
  folder: FolderSource,
  tensors: ReadonlyMap<string, Located>,
  name: string,
  shape: readonly number[],
): Promise<Float32Array> {
  const located = tensors.get(name);
  if (located === undefined)
    throw missing(folder, `tensor ${name}`, "the checkpoint does not fit its config.json");
  const { file, source, info } = located;
  if (info.shape.length !== shape.length || info.shape.some((dim, axis) => dim !== shape[axis])) {
    throw new DecoderError(
      "malformed-checkpoint",
      `${folder.name}/${file}: ${name} has shape [${info.shape.join(", ")}], but config.json asks for [${shape.join(", ")}]`,
    );
  }
  return inFile(folder, file, async () => {
    const values = await readFloats(source, info);
    checkFinite(name, values);
    return values;
  });
}

async function* sampleTensors(
  folder: FolderSource,
  tensors: ReadonlyMap<string, Located>,
): AsyncGenerator<TensorSample> {
  for (const { file, source, info } of tensors.values()) {
    const { name, dtype, shape, start, end } = info;
    const read = () => source.read(start, Math.min(end, start + SAMPLE_BYTES));
    yield { name, dtype, shape, bytes: await inFile(folder, file, read) };
  }
}

/** Says of what goes wrong while reading a file which file it was. */
async function inFile<T>(folder: FolderSource, file: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const message = `${folder.name}/${file}: ${(cause as Error).message}`;
    throw new DecoderError("malformed-checkpoint", message, { cause });
  }
}

const missing = (folder: FolderSource, what: string, remedy: string) =>
  new DecoderError("malformed-checkpoint", `${folder.name}: ${what} is missing; ${remedy}`);
