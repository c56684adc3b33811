import { type ExternalData, RuntimeError, throwIfAborted } from "@kvfold/runtime";
import { createLoadMeter, type LoadMeter } from "./load-meter.js";
import { type ModelFiles, modelFiles } from "./model-files.js";
import { type OnnxOutline, readOnnxOutline } from "./onnx-outline.js";
import { receiveFile } from "./receive-file.js";
import { type StoredFiles, storedFiles } from "./stored-files.js";
import type { LoadProgress, ModelBytes, StorageUse, WebModelSource } from "./web-model-source.js";

export declare namespace readModelSource {
  interface Options {
    /** `keep` unless given. */
    readonly storage?: StorageUse | undefined;
    /**
     * Which of a model's graphs is wanted: `delta` is the one for a runtime that owns the cache, faster on WebAssembly, which
     * copies every cache in and out otherwise. A model without it gives its standard graph, which is the default.
     */
    readonly graph?: "standard" | "delta" | undefined;
    /** Called some twenty times a second, and at the end of every file. */
    readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
    readonly signal?: AbortSignal | undefined;
  }
}

/**
 * Reads a model and the files of its weights into memory: from the browser's storage if they are there, otherwise from
 * where they are, keeping them for the next time. The graph says which files it needs and how long these must be, so
 * that one that is missing or cut short is found before ONNX Runtime runs. What a failed or aborted call has kept, it
 * deletes again.
 *
 * @throws {RuntimeError} `model-unreadable` for a file that is missing, broken off or too short; `storage-full`;
 *   `out-of-memory`; `aborted` when `signal` fires.
 *
 * @example
 * ```js
 * const source = await readModelSource({ url: "/model/onnx/model.onnx" });
 * const session = await webProvider(ort).createSession(source);
 * ```
 */
export async function readModelSource(
  source: WebModelSource,
  { storage = "keep", graph = "standard", onProgress, signal }: readModelSource.Options = {},
): Promise<ModelBytes> {
  const files = modelFiles(source);
  const stored = await storedFiles(files, storage, signal);
  try {
    return await readFiles({ files, stored, signal, meter: createLoadMeter(onProgress) }, graph);
  } catch (error) {
    await stored?.discard();
    throw error;
  }
}

interface Reading {
  readonly files: ModelFiles;
  readonly stored: StoredFiles | undefined;
  readonly meter: LoadMeter;
  readonly signal: AbortSignal | undefined;
}

async function readFiles(reading: Reading, wanted: "standard" | "delta"): Promise<ModelBytes> {
  const { files, stored, meter } = reading;
  const standard = await readGraph(reading, files.model);
  const { bytes, outline } = wanted === "delta" ? await readDelta(reading, standard) : standard;
  const { externalBytes } = outline;
  const graphs = [...new Set([standard.bytes, bytes])].map(({ length }) => length);
  meter.expect([...graphs, ...externalBytes.values()].reduce((sum, needed) => sum + needed, 0));
  await stored?.checkRoom(externalBytes);
  const externalData: ExternalData[] = [];
  for (const [path, needed] of externalBytes) {
    externalData.push({ path, data: await readFile(reading, path, needed) });
  }
  return { bytes, externalData };
}

interface Graph {
  readonly bytes: Uint8Array;
  readonly outline: OnnxOutline;
}

async function readGraph(reading: Reading, name: string): Promise<Graph> {
  const bytes = await readFile(reading, name, 0);
  const outline = await forgettingUnusable(reading, name, async () =>
    readOnnxOutline(bytes, reading.files.label(name)),
  );
  return { bytes, outline };
}

/** The standard graph works as well, where the other is named but was left behind. */
async function readDelta(reading: Reading, standard: Graph): Promise<Graph> {
  const { deltaGraph } = standard.outline;
  if (deltaGraph === undefined) return standard;
  try {
    return await readGraph(reading, deltaGraph);
  } catch (error) {
    if (RuntimeError.isInstance(error) && error.code === "model-unreadable") return standard;
    throw error;
  }
}

async function readFile(reading: Reading, name: string, neededBytes: number): Promise<Uint8Array> {
  const { files, stored, meter, signal } = reading;
  const label = files.label(name);
  throwIfAborted(signal);
  const found = await stored?.find(name);
  const file = found ?? (await files.open(name, signal));
  // Until the graph is there, it is all that is known of.
  if (name === files.model) meter.expect(file.byteLength);
  const keep = found === undefined && stored !== undefined ? stored.keep.bind(undefined, name) : undefined;
  const onBytes = (count: number): void => meter.add(count, file.stage, name);
  const receive = () => receiveFile(file, { label, neededBytes, onBytes, keep, signal });
  const bytes = await (found === undefined ? receive() : forgettingUnusable(reading, name, receive));
  meter.add(0, file.stage, name);
  return bytes;
}

/** Does something with a file that may be a stored one, and deletes it there if it is unusable. */
async function forgettingUnusable<T>({ stored }: Reading, name: string, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (error) {
    if (RuntimeError.isInstance(error) && error.code === "model-unreadable") await stored?.forget(name);
    throw error;
  }
}
