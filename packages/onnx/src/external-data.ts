import { OnnxError } from "./onnx-error.js";
import { INLINE_BYTES, type WeightStore } from "./weight-store.js";

/** A file being written from its start. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Weights that are streamed to external data files while the graph is built. */
export interface ExternalDataWriter extends WeightStore {
  /** Waits until all weights stored so far are written; call it once a block, so that memory stays one block. */
  drain(): Promise<void>;
  /** Drains and closes the last file. Returns the names of the files, in order. */
  close(): Promise<readonly string[]>;
}

export declare namespace createExternalDataWriter {
  interface Options {
    /** Name of the first file, e.g. `model.onnx_data`; later ones get `_1`, `_2`, … as transformers.js expects. */
    readonly fileName: string;
    readonly open: (fileName: string) => Promise<ByteSink>;
    /** Start of each tensor is a multiple of this: a memory page, so that runtimes can map the file. */
    readonly alignmentBytes?: number;
    /** A new file starts before this size is passed: browsers hold a file in one ArrayBuffer, below 2 GiB. */
    readonly maxFileBytes?: number;
  }
}

/**
 * Streams weights to external data files: `store` fixes the location at once and queues the bytes,
 * `drain` waits for them.
 *
 * @throws {OnnxError} `write-failed` from `drain` and `close` when a write failed (a full disk, for instance).
 */
export function createExternalDataWriter({
  fileName,
  open,
  alignmentBytes = 4096,
  maxFileBytes = 2 ** 31 - 2 ** 20,
}: createExternalDataWriter.Options): ExternalDataWriter {
  const files: string[] = [];
  let offset = 0;
  let sink: ByteSink | undefined;
  let pending: Promise<void> = Promise.resolve();
  let failure: Error | undefined;

  const enqueue = (work: () => Promise<void>): void => {
    pending = pending.then(async () => {
      if (failure !== undefined) return;
      await work().catch((error: unknown) => {
        failure = error instanceof Error ? error : new Error("unknown write error", { cause: error });
      });
    });
  };

  const startFile = (): void => {
    const name = files.length === 0 ? fileName : `${fileName}_${files.length}`;
    files.push(name);
    offset = 0;
    enqueue(async () => {
      await sink?.close();
      sink = await open(name);
    });
  };

  const append = (bytes: Uint8Array): void => {
    offset += bytes.byteLength;
    enqueue(async () => sink!.write(bytes));
  };

  const drain = async (): Promise<void> => {
    await pending;
    if (failure === undefined) return;
    throw new OnnxError(
      "write-failed",
      `${files.at(-1)}: weights could not be written (${failure.message})`,
      {
        cause: failure,
      },
    );
  };

  return {
    store(_name, { bytes }) {
      if (bytes.byteLength <= INLINE_BYTES) return undefined;
      const padding = (alignmentBytes - (offset % alignmentBytes)) % alignmentBytes;
      if (files.length === 0 || (offset > 0 && offset + padding + bytes.byteLength > maxFileBytes))
        startFile();
      else if (padding > 0) append(new Uint8Array(padding));
      const location = { path: files.at(-1)!, offset, byteLength: bytes.byteLength };
      append(bytes);
      return location;
    },
    drain,
    async close() {
      await pending;
      await sink?.close();
      sink = undefined;
      await drain();
      return files;
    },
  };
}
