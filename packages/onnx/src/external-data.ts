import type { ExternalLocation } from "./external-location.js";
import { OnnxError } from "./onnx-error.js";
import { pieceBuffers, writeStream } from "./tensor-stream.js";
import { tensorBytes } from "./tensor-value.js";
import { INLINE_BYTES, type WeightStore } from "./weight-store.js";

/** A file being written from its start. */
export interface ByteSink {
  /** Writes `bytes`, which are the caller's again when this is done: a sink that keeps them takes a copy. */
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Weights that are streamed to external data files while the graph is built. */
export interface ExternalDataWriter extends Required<Pick<WeightStore, "store" | "stream">> {
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
 * Streams weights to external data files: `store` and `stream` fix the location at once and queue the bytes, `drain`
 * waits for them.
 *
 * @throws {OnnxError} `write-failed` from `drain` and `close` when a write failed (a full disk, for instance). What a
 * stream throws passes through.
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
  const buffers = pieceBuffers();

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
    enqueue(() =>
      named(name, async () => {
        await sink?.close();
        sink = await open(name);
      }),
    );
  };

  /** Writes to the file that is the last one now. */
  const writer = () => {
    const name = files.at(-1)!;
    return (bytes: Uint8Array): Promise<void> => named(name, () => sink!.write(bytes));
  };

  const append = (bytes: Uint8Array): void => {
    offset += bytes.byteLength;
    const write = writer();
    enqueue(() => write(bytes));
  };

  const drain = async (): Promise<void> => {
    await pending;
    if (failure !== undefined) throw failure;
  };

  /** Where the next tensor lies; what comes before it is queued. */
  const place = (byteLength: number): ExternalLocation => {
    const padding = (alignmentBytes - (offset % alignmentBytes)) % alignmentBytes;
    if (files.length === 0 || (offset > 0 && offset + padding + byteLength > maxFileBytes)) startFile();
    else if (padding > 0) append(new Uint8Array(padding));
    return { path: files.at(-1)!, offset, byteLength };
  };

  return {
    store(_name, { bytes }) {
      if (bytes.byteLength <= INLINE_BYTES) return undefined;
      const location = place(bytes.byteLength);
      append(bytes);
      return location;
    },
    stream(_name, value) {
      const byteLength = tensorBytes(value.type, value.dims)!;
      if (byteLength <= INLINE_BYTES) return undefined;
      const location = place(byteLength);
      offset += byteLength;
      const write = writer();
      enqueue(() => writeStream(value, write, buffers));
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

/** Tells a file that cannot be written from a stream that cannot be made. */
async function named(file: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "unknown write error";
    throw new OnnxError("write-failed", `${file}: weights could not be written (${reason})`, { cause });
  }
}
