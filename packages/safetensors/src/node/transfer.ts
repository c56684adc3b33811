import type { FileHandle } from "node:fs/promises";
import { SafetensorsError } from "../safetensors-error.js";

/** Node refuses single reads and writes of 2^31 bytes and more; one of 256 MiB is as fast as any larger one. */
const MAX_TRANSFER_BYTES = 2 ** 28;

export declare namespace readFully {
  interface Options {
    /** Offset in the file, in bytes. */
    readonly position: number;
    /** How errors name the file. */
    readonly path: string;
  }
}

/**
 * Fills `bytes` from an open file, in as many reads as it takes. Any size works, above 2 GiB too.
 *
 * @throws {SafetensorsError} `truncated` when the file ends early. Errors of the file system pass through.
 */
export async function readFully(
  handle: Pick<FileHandle, "read">,
  bytes: Uint8Array,
  { position, path }: readFully.Options,
): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const length = Math.min(bytes.byteLength - done, MAX_TRANSFER_BYTES);
    const { bytesRead } = await handle.read(bytes, done, length, position + done);
    if (bytesRead === 0) {
      throw new SafetensorsError(
        "truncated",
        `${path}: expected ${bytes.byteLength} bytes at ${position}, found ${done}; did the file change?`,
      );
    }
    done += bytesRead;
  }
}

/**
 * Writes all of `bytes` to an open file at `position`, or where its last write ended, in as many writes as it takes. Any
 * size works, above 2 GiB too.
 *
 * @throws the file system's errors.
 */
export async function writeFully(
  handle: Pick<FileHandle, "write">,
  bytes: Uint8Array,
  position?: number,
): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const length = Math.min(bytes.byteLength - done, MAX_TRANSFER_BYTES);
    const place = position === undefined ? null : position + done;
    const { bytesWritten } = await handle.write(bytes, done, length, place);
    // The system takes bytes or reports an error; a loop that does neither must not run for ever.
    if (bytesWritten === 0) throw new Error(`expected to write ${length} bytes, the system took none`);
    done += bytesWritten;
  }
}
