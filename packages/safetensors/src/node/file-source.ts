import { type FileHandle, open } from "node:fs/promises";
import { type ByteSource, requireRange } from "../byte-source.js";
import { SafetensorsError } from "../safetensors-error.js";

/** A file opened for reading; close it when done. */
export interface FileSource extends ByteSource {
  readonly path: string;
  /** Closes the file; closing twice is fine. */
  close(): Promise<void>;
}

/** Node refuses single reads and writes of 2^31 bytes and more; one of 256 MiB is as fast as any larger one. */
export const MAX_TRANSFER_BYTES: number = 2 ** 28;

/**
 * Opens a file as a {@link ByteSource}; every read allocates its own bytes.
 *
 * @throws the file system's error when `path` cannot be opened; reads throw {@link SafetensorsError} `truncated` when the
 * file has shrunk meanwhile and `closed` after {@link FileSource.close}.
 */
export async function fileSource(path: string): Promise<FileSource> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    return new OpenFile(path, size, handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

class OpenFile implements FileSource {
  readonly path: string;
  readonly byteLength: number;
  #handle: FileHandle | undefined;

  constructor(path: string, byteLength: number, handle: FileHandle) {
    this.path = path;
    this.byteLength = byteLength;
    this.#handle = handle;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    if (this.#handle === undefined) {
      throw new SafetensorsError(
        "closed",
        `${this.path}: expected an open file, got one that was closed; read before closing`,
      );
    }
    requireRange(this.byteLength, start, end);
    const bytes = new Uint8Array(end - start);
    await fill(this.#handle, bytes, start, this.path);
    return bytes;
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }
}

async function fill(handle: FileHandle, bytes: Uint8Array, position: number, path: string): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const length = Math.min(bytes.byteLength - done, MAX_TRANSFER_BYTES);
    const { bytesRead } = await handle.read(bytes, done, length, position + done);
    if (bytesRead === 0) {
      throw new SafetensorsError(
        "truncated",
        `${path}: expected ${bytes.byteLength} bytes at ${position}, got ${done}; did the file change?`,
      );
    }
    done += bytesRead;
  }
}
