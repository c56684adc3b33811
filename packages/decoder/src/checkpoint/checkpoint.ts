import {
  type ByteSource,
  checkFinite,
  parseHeader,
  parseShardIndex,
  readFloats,
  type TensorInfo,
} from "@kvfold/safetensors";
import { DecoderError } from "../decoder-error.js";
import { type ModelConfig, readConfig } from "../families/read-config.js";
import type { HalfBuffers, StoredMatrix } from "../model/stored-matrix.js";
import { inFile } from "./in-file.js";
import { type StoredTable, settleTiedHead } from "./tied-head.js";
import { reviewUnusedTensors, storedName } from "./unused-tensors.js";

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
  /** What a user should know: fields and tensors that nothing reads. */
  readonly notices: readonly string[];
  has(tensor: string): boolean;
  /**
   * Reads a tensor as float32, after checking its shape and that all values are finite. Names come without the prefixes
   * that checkpoints of a family may or may not have.
   */
  read(this: void, tensor: string, shape: readonly number[]): Promise<Float32Array>;
  /**
   * A matrix of sixteen-bit floats that is read later, after checking its shape; `undefined` for one of another type, or
   * so small that it may as well be read.
   */
  leave(
    this: void,
    tensor: string,
    shape: readonly [number, number],
    buffers: HalfBuffers,
  ): StoredMatrix | undefined;
  /** All tensors as they are stored, a piece at a time, in the order of the files: to tell one checkpoint from another. */
  contents(): AsyncIterable<TensorPiece>;
  close(): Promise<void>;
}

/** A tensor as its header describes it, and some of its bytes. */
export interface TensorPiece extends Pick<TensorInfo, "name" | "dtype" | "shape"> {
  /** Where in the tensor the bytes begin. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Large enough for the disk's full speed, small enough that a tensor of an embedding need not fit into memory. */
const PIECE_BYTES = 2 ** 23;

const CONFIG = "config.json";
const SHARD_INDEX = "model.safetensors.index.json";

interface Located {
  readonly file: string;
  readonly source: ByteSource;
  readonly info: TensorInfo;
}

export declare namespace openCheckpoint {
  /** Which families to know: see `readConfig`. */
  type Options = readConfig.Options;
}

/**
 * Opens a Hugging Face checkpoint: `config.json` and `model.safetensors`, or the shards that
 * `model.safetensors.index.json` lists. Reads headers only, but for a head that is stored beside the embedding it is tied
 * to; tensors are read when asked for.
 *
 * @throws {DecoderError} `malformed-checkpoint` or `unsupported-model`, naming the file; `unreadable-checkpoint` where the
 * disk or network fails; so do reads.
 */
export async function openCheckpoint(
  folder: FolderSource,
  options: openCheckpoint.Options = {},
): Promise<Checkpoint> {
  const text = await inFile(folder, CONFIG, () => folder.readText(CONFIG));
  if (text === undefined) throw missing(folder, CONFIG, "is this a Hugging Face checkpoint folder?");
  const stated = readConfig(text, options);
  const { tensors, close } = await openTensors(folder);
  const locate = (tensor: string) => tensors.get(storedName(tensor, tensors, stated) ?? "");
  try {
    const { config, notices } = await settleTiedHead(folder.name, stated, (tensor) =>
      storedTable(folder, locate(tensor)),
    );
    const unused = reviewUnusedTensors(folder.name, config, new Set(tensors.keys()));
    return {
      name: folder.name,
      config,
      notices: [...config.notices, ...notices, ...unused],
      has: (tensor) => locate(tensor) !== undefined,
      read: (tensor, shape) => readTensor(folder, locate(tensor), tensor, shape),
      leave: (tensor, shape, buffers) => leaveTensor(folder, locate(tensor), tensor, shape, buffers),
      contents: () => readPieces(folder, tensors),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function storedTable(folder: FolderSource, located: Located | undefined): StoredTable | undefined {
  if (located === undefined) return undefined;
  const { file, source, info } = located;
  return { info, read: (start, end) => inFile(folder, file, () => source.read(start, end)) };
}

async function openTensors(folder: FolderSource) {
  const index = await readShardIndex(folder);
  const files = index === undefined ? ["model.safetensors"] : [...new Set(index.values())];
  const tensors = new Map<string, Located>();
  const sources: (ByteSource & { close?(): Promise<void> })[] = [];
  const close = async () => {
    for (const source of sources) await source.close?.();
  };
  try {
    for (const file of files) {
      const source = await inFile(folder, file, () => folder.openBytes(file));
      if (source === undefined) throw missing(folder, file, "download all shards of the checkpoint");
      sources.push(source);
      const header = await inFile(folder, file, () => parseHeader(source));
      for (const [name, info] of header.tensors) {
        // The index decides where a tensor lives that lies in several shards.
        if (index === undefined || (index.get(name) ?? file) === file)
          tensors.set(name, { file, source, info });
      }
    }
    for (const [name, file] of index ?? []) {
      if (!tensors.has(name))
        throw missing(
          folder,
          `tensor ${name} of ${SHARD_INDEX}`,
          `${file} does not hold it; download that shard again`,
        );
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { tensors, close };
}

async function readShardIndex(folder: FolderSource): Promise<ReadonlyMap<string, string> | undefined> {
  return inFile(folder, SHARD_INDEX, async () => {
    const index = await folder.readText(SHARD_INDEX);
    return index === undefined ? undefined : parseShardIndex(index);
  });
}

async function readTensor(
  folder: FolderSource,
  located: Located | undefined,
  name: string,
  shape: readonly number[],
): Promise<Float32Array> {
  const { file, source, info } = requireTensor(folder, located, name, shape);
  return inFile(folder, file, async () => {
    const values = await readFloats(source, info);
    checkFinite(name, values);
    return values;
  });
}

/** Below it a matrix is read at once. */
const LEAST_LEFT_BYTES = 2 ** 10;

function leaveTensor(
  folder: FolderSource,
  located: Located | undefined,
  name: string,
  shape: readonly [number, number],
  buffers: HalfBuffers,
): StoredMatrix | undefined {
  const { file, source, info } = requireTensor(folder, located, name, shape);
  const { dtype, start, end } = info;
  if ((dtype !== "F16" && dtype !== "BF16") || end - start < LEAST_LEFT_BYTES) return undefined;
  const [rows, columns] = shape;
  return {
    dtype,
    rows,
    columns,
    buffers,
    read: (row, bits) => inFile(folder, file, () => readBits(source, start + 2 * row * columns, bits)),
    numbers: () => readTensor(folder, located, name, shape),
  };
}

async function readBits(source: ByteSource, start: number, bits: Uint16Array): Promise<void> {
  const target = new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
  if (source.readInto !== undefined) return source.readInto(start, target);
  target.set(await source.read(start, start + target.byteLength));
}

function requireTensor(
  folder: FolderSource,
  located: Located | undefined,
  name: string,
  shape: readonly number[],
): Located {
  if (located === undefined)
    throw missing(folder, `tensor ${name}`, "the checkpoint does not fit its config.json");
  const { file, info } = located;
  if (info.shape.length !== shape.length || info.shape.some((dim, axis) => dim !== shape[axis])) {
    throw new DecoderError(
      "malformed-checkpoint",
      `${folder.name}/${file}: ${name} has shape [${info.shape.join(", ")}], but config.json asks for [${shape.join(", ")}]`,
    );
  }
  return located;
}

async function* readPieces(
  folder: FolderSource,
  tensors: ReadonlyMap<string, Located>,
): AsyncGenerator<TensorPiece> {
  for (const { file, source, info } of tensors.values()) {
    const { name, dtype, shape, start, end } = info;
    // An empty tensor is one piece, too.
    for (let offset = 0; offset === 0 || start + offset < end; offset += PIECE_BYTES) {
      const read = () => source.read(start + offset, Math.min(end, start + offset + PIECE_BYTES));
      yield { name, dtype, shape, offset, bytes: await inFile(folder, file, read) };
    }
  }
}

const missing = (folder: FolderSource, what: string, remedy: string) =>
  new DecoderError("malformed-checkpoint", `${folder.name}: ${what} is missing; ${remedy}`);
