import { SafetensorsError } from "./safetensors-error.js";

/** Random access to bytes, wherever they are: a file, a buffer, HTTP ranges. */
export interface ByteSource {
  readonly byteLength: number;
  /** Exactly the bytes `[start, end)`; the caller must not write to them. */
  read(start: number, end: number): Promise<Uint8Array>;
  /** Fills `target` with the bytes from `start` on: memory that is used again is much faster than new memory. */
  readInto?(start: number, target: Uint8Array): Promise<void>;
}

/**
 * A source over bytes in memory; reads are views, not copies.
 *
 * @example
 * ```ts
 * import { bytesSource } from "@kvfold/safetensors";
 * bytesSource(Uint8Array.of(1, 2, 3)).byteLength // => 3
 * ```
 */
export function bytesSource(bytes: Uint8Array): ByteSource {
  const { byteLength } = bytes;
  return {
    byteLength,
    async read(start, end) {
      requireRange(byteLength, start, end);
      return bytes.subarray(start, end);
    },
  };
}

/** @throws {SafetensorsError} `truncated` when `[start, end)` leaves `[0, byteLength)`. */
export function requireRange(byteLength: number, start: number, end: number): void {
  if (
    Number.isSafeInteger(start) &&
    Number.isSafeInteger(end) &&
    0 <= start &&
    start <= end &&
    end <= byteLength
  )
    return;
  throw new SafetensorsError(
    "truncated",
    `expected bytes [${start}, ${end}) within a source of ${byteLength}; is the file complete?`,
  );
}
