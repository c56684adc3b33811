import { type FileHandle, open } from "node:fs/promises";
import { type ByteSource, requireRange } from "../byte-source.js";
import { SafetensorsError } from "../safetensors-error.js";
import { readFully } from "./transfer.js";

/** A file opened for reading; close it when done. */
export interface FileSource extends ByteSource {
  readonly path: string;
  /** Closes the file; closing twice is fine. */
  close(): Promise<void>;
}

/**
 * Opens a file as a {@link ByteSource}; every read allocates its own bytes.
 *
 * @throws the file system's error when `path` cannot be opened; reads throw {@link SafetensorsError} `truncated` when the
 * file has shrunk meanwhile, `limit-exceeded` for more bytes than one array holds (4 GiB in Node 20) and `closed` after
 * {@link FileSource.close}.
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
    this.#requireOpen();
    requireRange(this.byteLength, start, end);
    const bytes = allocate(end - start, this.path);
    await this.readInto(start, bytes);
    return bytes;
  }

  async readInto(start: number, target: Uint8Array): Promise<void> {
    const handle = this.#requireOpen();
    requireRange(this.byteLength, start, start + target.byteLength);
    await readFully(handle, target, { position: start, path: this.path });
  }

  #requireOpen(): FileHandle {
    if (this.#handle !== undefined) return this.#handle;
    throw new SafetensorsError(
      "closed",
      `${this.path}: expected an open file, found one that was closed; read before closing`,
    );
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }
}

function allocate(byteLength: number, path: string): Uint8Array {
  try {
    return new Uint8Array(byteLength);
  } catch (cause) {
    throw new SafetensorsError(
      "limit-exceeded",
      `${path}: expected a read that fits into one array in memory, found ${byteLength} bytes; read it in parts`,
      { cause },
    );
  }
}
