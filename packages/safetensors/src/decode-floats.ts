import { Float16Array } from "@petamoriken/float16";
import type { ByteSource } from "./byte-source.js";
import { dtypeBytes } from "./dtype.js";
import { SafetensorsError } from "./safetensors-error.js";
import type { TensorInfo } from "./tensor-info.js";

/**
 * Decodes little-endian floats to a new float32 array.
 *
 * Numerics: F32, F16 and BF16 are exact (subnormals, signed zeros and infinities included; a NaN stays a NaN);
 * F64 is rounded to nearest.
 *
 * @throws {SafetensorsError} `unsupported-dtype` for other dtypes, `malformed` when `bytes` ends within an element.
 * @example
 * ```ts
 * import { decodeFloats } from "@kvfold/safetensors";
 * Array.from(decodeFloats(Uint8Array.of(0x80, 0x3f, 0x00, 0xc0), "BF16")) // => [1, -2]
 * ```
 */
export function decodeFloats(bytes: Uint8Array, dtype: string): Float32Array {
  requireDecodable("decodeFloats", dtype);
  if (bytes.byteLength % dtypeBytes(dtype) !== 0) {
    throw new SafetensorsError(
      "malformed",
      `decodeFloats: expected whole ${dtype} elements, got ${bytes.byteLength} bytes`,
    );
  }
  switch (dtype) {
    case "F32":
      return new Float32Array(alignedBuffer(bytes));
    case "F64":
      return Float32Array.from(new Float64Array(alignedBuffer(bytes)));
    case "F16":
      return decodeHalves(new Uint16Array(alignedBuffer(bytes)));
    case "BF16":
      return decodeBrainFloats(new Uint16Array(alignedBuffer(bytes)));
  }
}

/**
 * Reads one tensor, and only its bytes, as float32. They are read in pieces: memory is little more than the result.
 *
 * @throws {SafetensorsError} as {@link decodeFloats}, naming the tensor; a dtype is refused before its bytes are read.
 * Errors of the source pass through.
 */
export async function readFloats(source: ByteSource, info: TensorInfo): Promise<Float32Array> {
  const { name, dtype, start, end } = info;
  requireDecodable(`tensor ${name}`, dtype);
  const size = dtypeBytes(dtype);
  const values = allocate(name, Math.floor((end - start) / size));
  for (let from = start; from < end; from += PIECE_BYTES) {
    const bytes = await source.read(from, Math.min(end, from + PIECE_BYTES));
    values.set(decodePiece(name, bytes, dtype), (from - start) / size);
  }
  return values;
}

/** Stored bytes that are in memory beside the decoded tensor; whole elements of every dtype. */
const PIECE_BYTES = 2 ** 23;

function allocate(name: string, elements: number): Float32Array {
  try {
    return new Float32Array(elements);
  } catch (cause) {
    throw new SafetensorsError(
      "limit-exceeded",
      `tensor ${name}: expected a tensor that fits into one array in memory, got ${elements} elements`,
      { cause },
    );
  }
}

function decodePiece(name: string, bytes: Uint8Array, dtype: DecodedDtype): Float32Array {
  try {
    return decodeFloats(bytes, dtype);
  } catch (cause) {
    if (!SafetensorsError.isInstance(cause)) throw cause;
    throw new SafetensorsError(cause.code, `tensor ${name}: ${cause.message}`, { cause });
  }
}

type DecodedDtype = "F32" | "F16" | "BF16" | "F64";

function requireDecodable(where: string, dtype: string): asserts dtype is DecodedDtype {
  if (["F32", "F16", "BF16", "F64"].includes(dtype)) return;
  throw new SafetensorsError(
    "unsupported-dtype",
    `${where}: expected F32, F16, BF16 or F64, got ${dtype}; convert the checkpoint to one of them`,
  );
}

/** A copy: `bytes` may start at any offset, and the caller may keep what it is given. */
const alignedBuffer = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;

function decodeBrainFloats(halves: Uint16Array): Float32Array {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16;
  return new Float32Array(bits.buffer);
}

let halfTable: Float32Array | undefined;

function decodeHalves(halves: Uint16Array): Float32Array {
  halfTable ??= createHalfTable();
  const result = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) result[i] = halfTable[halves[i]!]!;
  return result;
}

/** The value of each of the 65536 bit patterns. */
function createHalfTable(): Float32Array {
  const patterns = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits);
  return Float32Array.from(new Float16Array(patterns.buffer));
}
