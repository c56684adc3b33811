/** A folder as that of a browser's private file system, in memory. */
export class MemoryFolder {
  readonly kind = "directory";
  readonly #children = new Map<string, MemoryFolder | MemoryFile>();

  async getDirectoryHandle(name: string, { create = false } = {}): Promise<MemoryFolder> {
    return this.#find(name, create, () => new MemoryFolder());
  }

  async getFileHandle(name: string, { create = false } = {}): Promise<MemoryFile> {
    return this.#find(name, create, () => new MemoryFile());
  }

  async removeEntry(name: string): Promise<void> {
    if (!this.#children.delete(name)) throw new DOMException(name, "NotFoundError");
  }

  async *entries(): AsyncGenerator<[string, MemoryFolder | MemoryFile]> {
    yield* this.#children;
  }

  #find<T extends MemoryFolder | MemoryFile>(name: string, create: boolean, make: () => T): T {
    const found = this.#children.get(name);
    if (found !== undefined) return found as T;
    if (!create) throw new DOMException(name, "NotFoundError");
    const made = make();
    this.#children.set(name, made);
    return made;
  }
}

/** Bytes that all files take, over which writing fails. */
export const disk = { quota: Number.POSITIVE_INFINITY };

class MemoryFile {
  readonly kind = "file";
  #content = new Blob([]);

  async getFile(): Promise<Blob> {
    return this.#content;
  }

  /** What is written shows when it is closed, as in browsers. */
  async createWritable(): Promise<WritableStream<Uint8Array<ArrayBuffer>>> {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    return new WritableStream({
      write: (bytes) => {
        parts.push(bytes);
        if (parts.reduce((sum, { byteLength }) => sum + byteLength, 0) > disk.quota)
          throw new DOMException("full", "QuotaExceededError");
      },
      close: () => {
        this.#content = new Blob(parts);
      },
    });
  }
}
