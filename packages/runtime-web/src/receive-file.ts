import { formatBytes, RuntimeError } from "@kvfold/runtime";
import { GrowingBytes } from "./growing-bytes.js";
import type { IncomingFile } from "./model-files.js";
import { storageFull } from "./model-storage.js";

export declare namespace receiveFile {
  interface Options {
    /** For errors. */
    readonly label: string;
    /** Bytes that the file must have at least. */
    readonly neededBytes: number;
    readonly onBytes: (count: number) => void;
    /** Takes the file in while it passes, if it gets to its end. */
    readonly keep?: ((file: Response) => Promise<void>) | undefined;
    readonly signal: AbortSignal | undefined;
  }
}

/**
 * Reads a file to its end, in one pass for memory and storage.
 *
 * @throws {RuntimeError} `model-unreadable` when it broke off or is too short; `storage-full`, `out-of-memory`, `aborted`.
 */
export async function receiveFile(
  { body, byteLength = 0, headers }: IncomingFile,
  options: receiveFile.Options,
): Promise<Uint8Array<ArrayBuffer>> {
  const { label, neededBytes, onBytes, keep, signal } = options;
  const received = new GrowingBytes(label, Math.max(byteLength, neededBytes));
  let failure: unknown;
  /** The reader of a stream learns that it failed but not why, so the cause is kept here. */
  const keepingFailure = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      failure = error;
      throw error;
    }
  };
  const passing = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      keepingFailure(() => received.add(chunk));
      onBytes(chunk.length);
      controller.enqueue(chunk);
    },
    // Inside the stream, so that storage never sees the end of a file that is too short.
    flush: () => keepingFailure(() => checkLength(label, neededBytes, received.length)),
  });
  try {
    const stream = body.pipeThrough(passing, signal === undefined ? {} : { signal });
    await (keep === undefined
      ? stream.pipeTo(new WritableStream())
      : keep(new Response(stream, { headers })));
  } catch (cause) {
    throw failure ?? explain(cause, options, received.length);
  }
  return received.bytes();
}

function checkLength(label: string, needed: number, found: number): void {
  if (found >= needed) return;
  throw new RuntimeError(
    "model-unreadable",
    `expected at least ${needed} bytes in ${label}, which the model's tensors reach to, found ${found}: ` +
      "it was cut short, or belongs to another model; get it again",
  );
}

function explain(
  cause: unknown,
  { label, neededBytes, signal }: receiveFile.Options,
  found: number,
): RuntimeError {
  if (signal?.aborted) {
    return new RuntimeError("aborted", `aborted while reading ${label}`, { cause: signal.reason });
  }
  if (cause instanceof DOMException && cause.name === "QuotaExceededError") {
    const size = formatBytes(Math.max(found, neededBytes));
    return storageFull(`${label} (${size})`, "too little", cause);
  }
  return new RuntimeError(
    "model-unreadable",
    `expected ${label} to its end, found it to break off after ${found} bytes (${String(cause)}): try again`,
    { cause },
  );
}
