import { type ByteSource, parseHeader, planHeader } from "@kvfold/safetensors";
import { type CacheLayout, type CacheSlot, cacheSlots } from "./cache-layout.js";
import { crc32 } from "./crc32.js";
import { Tensor } from "./port.js";
import { RuntimeError } from "./runtime-error.js";

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
const dtypes = { float32: "F32", float16: "F16" } as const;

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
  const slots = cacheSlots(layout);
  const count = tokens.length;
  const pieces = [
    bytesOf(Int32Array.from(tokens)),
    ...tensors.flatMap((tensor) => headRows(onCpu(tensor), count)),
  ];
  const checksum = pieces.reduce((sum, piece) => crc32(piece, sum), 0);
  const layouts = [
    { name: TOKENS, dtype: "I32" as const, shape: [count] },
    ...slots.map(({ past, type, heads, size }) => ({
      name: past,
      dtype: dtypes[type],
      shape: [heads, count, size],
    })),
  ];
  const metadata = {
    format: FORMAT,
    model,
    checksum: String(checksum),
    first_position: String(firstPosition),
  };
  const { bytes: header } = planHeader(layouts, metadata);
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
  const { tensors, metadata } = await parseHeader(source).catch((cause: unknown) => {
    throw unreadable("expected a file that a decoding state has saved, found none", cause);
  });
  if (metadata.format !== FORMAT)
    throw unreadable(
      `expected format ${FORMAT}, found ${metadata.format ?? "a safetensors file without one"}`,
    );
  if (metadata.model !== model)
    throw unreadable(
      `expected a cache of model ${model}, found one of ${metadata.model}: read the text again`,
    );
  let checksum = 0;
  const read = async (name: string, dtype: string, shape: readonly (number | undefined)[]) => {
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
  const tokens = new Int32Array(await read(TOKENS, "I32", [undefined]));
  const restored: Tensor[] = [];
  for (const slot of cacheSlots(layout)) {
    const { past, type, heads, size } = slot;
    const buffer = await read(past, dtypes[type], [heads, tokens.length, size]);
    restored.push(tensorOf(slot, buffer, tokens.length));
  }
  if (String(checksum) !== metadata.checksum) throw unreadable("its checksum does not fit: it is damaged");
  return {
    tokens: Array.from(tokens),
    firstPosition: Number(metadata.first_position),
    tensors: restored,
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
function headRows({ data, dims }: Tensor, count: number): readonly Uint8Array[] {
  const [, heads, capacity, size] = dims as [number, number, number, number];
  const numbers = data as Float32Array;
  return Array.from({ length: heads }, (_, head) =>
    bytesOf(numbers.subarray(head * capacity * size, (head * capacity + count) * size)),
  );
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Int32Array | Float32Array): Uint8Array =>
  new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);

function tensorOf({ type, heads, size }: CacheSlot, buffer: ArrayBuffer, tokens: number): Tensor {
  const dims = [1, heads, tokens, size];
  return type === "float16"
    ? new Tensor("float16", new Uint16Array(buffer), dims)
    : new Tensor("float32", new Float32Array(buffer), dims);
}

const unreadable = (message: string, cause?: unknown): RuntimeError =>
  new RuntimeError("cache-unreadable", `loadState: ${message}`, { cause });
