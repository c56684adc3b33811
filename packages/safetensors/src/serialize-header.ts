import type { Dtype } from "./dtype.js";
import { encodeUtf8 } from "./internal/text-codec.js";
import {
  HEADER_ALIGNMENT_BYTES,
  LENGTH_BYTES,
  MAX_HEADER_BYTES,
  MAX_MEMBER_COUNT,
  METADATA_NAME,
} from "./limits.js";
import { SafetensorsError } from "./safetensors-error.js";
import { isDimension, tensorBytes } from "./tensor-info.js";

/** What the header says of a tensor to be written. */
export interface TensorLayout {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** The bytes before the tensors, and how many bytes each tensor must have, in order. */
export interface HeaderPlan {
  readonly bytes: Uint8Array;
  readonly tensorBytes: readonly number[];
}

/**
 * Lays tensors out one after the other, in the order given: a file is these bytes, and then the tensors' own.
 *
 * @throws {SafetensorsError} `invalid-argument` for a name twice or dimensions that are no sizes; `limit-exceeded`.
 */
export function planHeader(
  layouts: readonly TensorLayout[],
  metadata: Readonly<Record<string, string>>,
): HeaderPlan {
  const metadataCount = Object.keys(metadata).length;
  requireNames(layouts);
  requireMemberCount(1 + metadataCount + 4 * layouts.length);
  const sizes = layouts.map(sizeOf);
  let offset = 0;
  const entries = layouts.map(({ name, dtype, shape }, index): [string, unknown] => {
    const start = offset;
    offset += sizes[index]!;
    return [name, { dtype, shape, data_offsets: [start, offset] }];
  });
  const members = metadataCount > 0 ? [[METADATA_NAME, metadata] as const, ...entries] : entries;
  return { bytes: encodeHeader(JSON.stringify(Object.fromEntries(members))), tensorBytes: sizes };
}

/** The length, then the JSON, padded with spaces so that the data starts on a multiple of 8. */
function encodeHeader(json: string): Uint8Array {
  const text = encodeUtf8(json);
  const length = Math.ceil(text.length / HEADER_ALIGNMENT_BYTES) * HEADER_ALIGNMENT_BYTES;
  if (length > MAX_HEADER_BYTES) {
    throw new SafetensorsError(
      "limit-exceeded",
      `expected a header of at most ${MAX_HEADER_BYTES} bytes, found ${length}; write several files`,
    );
  }
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, LENGTH_BYTES);
  return bytes;
}

function requireNames(layouts: readonly TensorLayout[]): void {
  const seen = new Set([METADATA_NAME]);
  for (const { name } of layouts) {
    if (seen.has(name))
      throw new SafetensorsError(
        "invalid-argument",
        `tensor ${name}: expected a name of its own, found one that is taken`,
      );
    seen.add(name);
  }
}

function requireMemberCount(count: number): void {
  if (count <= MAX_MEMBER_COUNT) return;
  throw new SafetensorsError(
    "limit-exceeded",
    `expected at most ${MAX_MEMBER_COUNT} names in a header, four for each tensor, found ${count}; write several files`,
  );
}

function sizeOf({ name, dtype, shape }: TensorLayout): number {
  const bytes = shape.every(isDimension) ? tensorBytes(dtype, shape) : undefined;
  if (bytes !== undefined) return bytes;
  throw new SafetensorsError(
    "invalid-argument",
    `tensor ${name}: expected dimensions that make fewer than 2^53 bytes, found [${shape.join(", ")}]`,
  );
}

/** Makes sure that a tensor's data fits its layout. */
export function requireDataBytes(name: string, data: Uint8Array, expected: number): void {
  if (data.byteLength === expected) return;
  throw new SafetensorsError(
    "invalid-argument",
    `tensor ${name}: expected ${expected} bytes for its dtype and shape, found ${data.byteLength}`,
  );
}
