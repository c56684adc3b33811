import { type ByteSource, parseHeader, planHeader } from "@kvfold/safetensors";
import { type CacheLayout, type CacheTensor, cacheSlots } from "./cache-layout.js";
import { crc32 } from "./crc32.js";
import type { Tensor } from "./port.js";
import { RuntimeError } from "./runtime-error.js";
import { tensorOver } from "./tensors.js";

/** The cache of a sequence as the bytes of a file, to be written one after the other. */
export interface SavedCache {
  readonly byteLength: number;
  /** Views of the cache where that is possible: write them before it is used again. */
  readonly pieces: readonly Uint8Array[];
}

/** What a saved cache holds. */
export interface CacheContents {
  readonly tokens: readonly number[];
  /** Position of the first token. */
  readonly firstPosition: number;
  /** `[1, heads, T, size]`, for each slot of the layout. */
  readonly tensors: readonly Tensor[];
}

const FORMAT = "kvfold-cache-1";
const TOKENS = "tokens";
export const savedDtypes = { float32: "F32", float16: "F16", uint8: "U8" } as const;

/**
 * A safetensors file: `tokens [T]` int32, and `[heads, T, size]` under the name of each past. Its metadata name the model and
 * hold a CRC-32 of all tensors.
 *
 * @param model - What tells this model from others: a cache fits the weights that made it alone.
 * @throws {RuntimeError} `unsupported-model` for a cache in the memory of a GPU.
 */
export function packCache(
  layout: CacheLayout,
  { tokens, firstPosition, tensors }: CacheContents,
  model: string,
): SavedCache {
  const count = tokens.length;
  const pasts = cacheSlots(layout).map(({ past, type, heads, size }, index) => ({
    name: past,
    dtype: savedDtypes[type],
    shape: [heads, count, size],
    pieces: headRows(onCpu(tensors[index]!), count),
  }));
  const metadata = { format: FORMAT, model, first_position: String(firstPosition) };
  return packTensors([tokenTensor(tokens), ...pasts], metadata);
}

/** A tensor of a file, and its bytes one after the other. */
export interface PackedTensor {
  readonly name: string;
  readonly dtype: "I32" | "F32" | "F16" | "U8";
  readonly shape: readonly number[];
  readonly pieces: readonly Uint8Array[];
}

/** The tokens of a sequence, as a tensor of a file. */
export const tokenTensor = (tokens: readonly number[]): PackedTensor => ({
  name: TOKENS,
  dtype: "I32",
  shape: [tokens.length],
  pieces: [bytesOf(Int32Array.from(tokens))],
});

/** A file of tensors with a checksum. */
export function packTensors(
  tensors: readonly PackedTensor[],
  metadata: Readonly<Record<string, string>>,
): SavedCache {
  const pieces = tensors.flatMap((tensor) => tensor.pieces);
  const checksum = String(pieces.reduce((sum, piece) => crc32(piece, sum), 0));
  const layouts = tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  const { bytes: header } = planHeader(layouts, { ...metadata, checksum });
  const all = [header, ...pieces];
  return { byteLength: all.reduce((sum, { byteLength }) => sum + byteLength, 0), pieces: all };
}

/**
 * Reads what `packCache` has written.
 *
 * @throws {RuntimeError} `cache-unreadable` for a file that is not a saved cache, is damaged, or belongs to another model.
 */
export async function unpackCache(
  layout: CacheLayout,
  source: ByteSource,
  model: string,
): Promise<CacheContents> {
  const file = await openSaved(source, FORMAT, model);
  const tokens = await file.tokens();
  const restored: Tensor[] = [];
  for (const slot of cacheSlots(layout)) {
    const { past, type, heads, size } = slot;
    const buffer = await file.read(past, savedDtypes[type], [heads, tokens.length, size]);
    restored.push(tensorOf(slot, buffer, tokens.length));
  }
  file.check();
  return { tokens, firstPosition: Number(file.metadata.first_position), tensors: restored };
}

/** A saved cache that is being read, tensor by tensor in their order. */
export interface SavedFile {
  readonly metadata: Readonly<Record<string, string>>;
  tokens(): Promise<readonly number[]>;
  /** Dimensions of a tensor; none where there is no such. */
  shape(name: string): readonly number[];
  /** The bytes of a tensor whose shape is known but for undefined dimensions. */
  read(name: string, dtype: string, shape: readonly (number | undefined)[]): Promise<ArrayBuffer>;
  /** Once all is read. */
  check(): void;
}

/** @throws {RuntimeError} `cache-unreadable`, as all that is read of it. */
export async function openSaved(source: ByteSource, format: string, model: string): Promise<SavedFile> {
  const { tensors, metadata } = await parseHeader(source).catch((cause: unknown) => {
    throw unreadable("expected a file that a decoding state has saved, found none", cause);
  });
  if (metadata.format !== format)
    throw unreadable(
      `expected format ${format}, found ${metadata.format ?? "a safetensors file without one"}`,
    );
  if (metadata.model !== model)
    throw unreadable(
      `expected a cache of model ${model}, found one of ${metadata.model}: read the text again`,
    );
  let checksum = 0;
  const read: SavedFile["read"] = async (name, dtype, shape) => {
    const info = tensors.get(name);
    if (
      info?.dtype !== dtype ||
      !shape.every((size, axis) => size === undefined || size === info.shape[axis])
    )
      throw unreadable(
        `expected ${name} as ${dtype} [${shape.map((size) => size ?? "tokens").join(", ")}], found ${info === undefined ? "none" : `${info.dtype} [${info.shape.join(", ")}]`}`,
      );
    // A copy of its own, whole and aligned; `slice` of Node's Buffer would be a view.
    const bytes = new Uint8Array(await source.read(info.start, info.end));
    checksum = crc32(bytes, checksum);
    return bytes.buffer;
  };
  return {
    metadata,
    tokens: async () => Array.from(new Int32Array(await read(TOKENS, "I32", [undefined]))),
    shape: (name) => tensors.get(name)?.shape ?? [],
    read,
    check() {
      if (String(checksum) !== metadata.checksum)
        throw unreadable("its checksum does not fit: it is damaged");
    },
  };
}

function onCpu(tensor: Tensor): Tensor {
  if (tensor.location === "cpu") return tensor;
  throw new RuntimeError(
    "unsupported-model",
    "save: expected a cache in the memory of the CPU, found one on a GPU: run the model on the CPU to save it",
  );
}

/** The first `count` rows of each head. */
export function headRows({ data, dims }: Tensor, count: number): readonly Uint8Array[] {
  const [, heads, capacity, size] = dims as [number, number, number, number];
  const numbers = data as Float32Array;
  return Array.from({ length: heads }, (_, head) =>
    bytesOf(numbers.subarray(head * capacity * size, (head * capacity + count) * size)),
  );
}

export const bytesOf = ({ buffer, byteOffset, byteLength }: Int32Array | Float32Array): Uint8Array =>
  new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);

export const tensorOf = ({ type, heads, size }: CacheTensor, buffer: ArrayBuffer, tokens: number): Tensor =>
  tensorOver(type, buffer, [1, heads, tokens, size]);

export const unreadable = (message: string, cause?: unknown): RuntimeError =>
  new RuntimeError("cache-unreadable", `loadState: ${message}`, { cause });
