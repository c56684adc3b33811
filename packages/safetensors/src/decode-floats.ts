import type { ByteSource } from "./byte-source.js";
import { dtypeBytes } from "./dtype.js";
import { float32Bits } from "./halves.js";
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
  wholeElements("decodeFloats", bytes, dtype);
  const values = new Float32Array(bytes.byteLength / dtypeBytes(dtype));
  decodeInto(values, bytes, dtype);
  return values;
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
    decodeInto(values.subarray((from - start) / size), wholeElements(`tensor ${name}`, bytes, dtype), dtype);
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
      `tensor ${name}: expected a tensor that fits into one array in memory, found ${elements} elements`,
      { cause },
    );
  }
}

function wholeElements(name: string, bytes: Uint8Array, dtype: DecodedDtype): Uint8Array {
  if (bytes.byteLength % dtypeBytes(dtype) === 0) return bytes;
  throw new SafetensorsError(
    "malformed",
    `${name}: expected whole ${dtype} elements, found ${bytes.byteLength} bytes`,
  );
}

type DecodedDtype = "F32" | "F16" | "BF16" | "F64";

function requireDecodable(where: string, dtype: string): asserts dtype is DecodedDtype {
  if (["F32", "F16", "BF16", "F64"].includes(dtype)) return;
  throw new SafetensorsError(
    "unsupported-dtype",
    `${where}: expected F32, F16, BF16 or F64, found ${dtype}; convert the checkpoint to one of them`,
  );
}

/** Decodes whole elements to the start of `values`. */
function decodeInto(values: Float32Array, bytes: Uint8Array, dtype: DecodedDtype): void {
  switch (dtype) {
    case "F32":
      new Uint8Array(values.buffer, values.byteOffset).set(bytes);
      break;
    case "F64":
      values.set(new Float64Array(new Uint8Array(bytes).buffer));
      break;
    case "F16":
    case "BF16":
      decodeHalves(halvesOf(bytes), float32Bits(dtype), values);
  }
}

function decodeHalves(halves: Uint16Array, table: Uint32Array, values: Float32Array): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = table[halves[i]!]!;
}

/** The same memory where it is aligned, else a copy. */
const halvesOf = (bytes: Uint8Array): Uint16Array =>
  bytes.byteOffset % 2 === 0
    ? new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2)
    : new Uint16Array(new Uint8Array(bytes).buffer);
