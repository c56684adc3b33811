import { formatBytes, RuntimeError } from "@kvfold/runtime";

/** The bytes of a file as they come in. */
export class GrowingBytes {
  readonly #file: string;
  readonly #expectedBytes: number;
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #length = 0;

  constructor(file: string, expectedBytes: number) {
    this.#file = file;
    this.#expectedBytes = expectedBytes;
  }

  get length(): number {
    return this.#length;
  }

  /** @throws {RuntimeError} `out-of-memory`. */
  add(chunk: Uint8Array): void {
    const needed = this.#length + chunk.length;
    if (needed > this.#buffer.length) {
      const larger = this.#allocate(Math.max(needed, 2 * this.#buffer.length, this.#expectedBytes));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(chunk, this.#length);
    this.#length = needed;
  }

  /** What has come in so far, as a view. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length);
  }

  #allocate(byteLength: number): Uint8Array<ArrayBuffer> {
    try {
      return new Uint8Array(byteLength);
    } catch (cause) {
      throw new RuntimeError(
        "out-of-memory",
        `expected ${formatBytes(byteLength)} of memory for ${this.#file}, found less: close other tabs, or use a smaller model`,
        { cause },
      );
    }
  }
}
