import { fitContext } from "@kvfold/converter";
import {
  CONFIG,
  type HubFile,
  hasCheckpoint,
  SHARD_INDEX,
  SMALL_FILES,
  weightFiles,
} from "@kvfold/converter/internals";
import { readConfig } from "@kvfold/decoder";
import { formatBytes } from "@kvfold/runtime";
import { parseShardIndex } from "@kvfold/safetensors";
import type { PickedFolder } from "../models/dropped-folder.js";
import { type Folder, finishFolder, openFolder, readFolder, writeFile } from "../storage/kept-folders.js";
import { HubError, unreachable } from "./hub-error.js";
import { findRepository, type HubOptions, type HubRepository } from "./hub-repository.js";

export interface DownloadOptions extends HubOptions {
  readonly storage: Folder;
  /** Bytes that the browser still stores; unlimited where it does not say. */
  readonly freeBytes?: number | undefined;
  readonly onProgress: (progress: DownloadProgress) => void;
}

export interface DownloadProgress {
  readonly file: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** WebAssembly addresses 4 GiB: what runs besides the weights needs the rest. */
const MOST_WEIGHT_BYTES = 3 * 2 ** 30;

/**
 * Brings the checkpoint of a model into the browser's storage, a file after the other, as their bytes come: no more of it lies in
 * memory than a piece of a file. Files that an earlier call has brought stay and are not fetched again.
 *
 * @throws {HubError} as `findRepository`, and for a model that a page cannot run; `DecoderError` `unsupported-model` for what is
 *   not a decoder that kvfold reads, before weights are fetched; what `signal` aborts with.
 */
export async function downloadModel(text: string, options: DownloadOptions): Promise<PickedFolder> {
  const { storage } = options;
  const repository = await findRepository(text, options);
  const { name, commit, listing } = repository;
  const id = `${name}@${commit}`;
  const folder = await openFolder(storage, id);
  const bring = bringer(repository, folder, await readFolder(storage, id), options);
  requireCheckpoint(repository);
  await bring([...SMALL_FILES, SHARD_INDEX].flatMap((file) => listing.get(file) ?? []));
  const config = await textOf(storage, id, CONFIG);
  checkSize(name, config!);
  const index = await textOf(storage, id, SHARD_INDEX);
  const shards = index === undefined ? undefined : parseShardIndex(index).values();
  const weights = weightFiles(listing, shards, repository);
  checkRoom(name, weights, options.freeBytes);
  await bring(weights);
  await finishFolder(folder, { kind: "checkpoint", model: name, commit });
  return { name, files: await readFolder(storage, id) };
}

function requireCheckpoint({ name, listing }: HubRepository): void {
  if (!listing.has(CONFIG)) throw new HubError(`${name} has no ${CONFIG}, so it is not a checkpoint`);
  if (!hasCheckpoint(listing))
    throw new HubError(
      `${name} has no weights in safetensors, which is all that this page reads; name the checkpoint that it was made from`,
    );
}

const textOf = async (storage: Folder, id: string, file: string): Promise<string | undefined> =>
  (await readFolder(storage, id)).get(file)?.text();

/** Brings files that are not there yet. */
const bringer =
  (
    { open }: HubRepository,
    folder: Folder,
    there: PickedFolder["files"],
    { signal, onProgress, hubUrl }: DownloadOptions,
  ) =>
  async (files: readonly HubFile[]): Promise<void> => {
    const totalBytes = files.reduce((sum, { byteLength }) => sum + byteLength, 0);
    let doneBytes = 0;
    for (const file of files) {
      if (there.get(file.name)?.size === file.byteLength) {
        doneBytes += file.byteLength;
        continue;
      }
      const before = doneBytes;
      const counted = counting(file, (count) => {
        doneBytes += count;
        onProgress({ file: file.name, doneBytes, totalBytes });
      });
      const content = (await open(file)).pipeThrough(counted);
      await writeFile(folder, file.name, content, signal).catch((cause: unknown) => {
        signal?.throwIfAborted();
        // What `fetch` says of a connection that breaks.
        throw cause instanceof TypeError ? unreachable(hubUrl, cause) : cause;
      });
      doneBytes = before + file.byteLength;
    }
  };

/** Counts bytes on their way; fewer or more than the Hub has named are an error. */
function counting(
  { name, byteLength }: HubFile,
  onBytes: (count: number) => void,
): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let seen = 0;
  return new TransformStream({
    transform(bytes, controller) {
      seen += bytes.byteLength;
      onBytes(bytes.byteLength);
      controller.enqueue(bytes);
    },
    flush() {
      if (seen !== byteLength)
        throw new HubError(`${name} arrived with ${seen} bytes in place of ${byteLength}; try again`);
    },
  });
}

/** A model whose graph WebAssembly cannot hold need not come here. */
function checkSize(name: string, config: string): void {
  const asked = { limit: { context: 1 }, keeps: ["1"], dtypes: ["fp32"] } as const;
  const { weightBytes } = fitContext(readConfig(config), asked)[0]!;
  if (weightBytes <= MOST_WEIGHT_BYTES) return;
  throw new HubError(
    `${name} has ${formatBytes(weightBytes)} of weights in float32, and a page runs ${formatBytes(MOST_WEIGHT_BYTES)} at most; fold it with the command line`,
  );
}

function checkRoom(name: string, weights: readonly HubFile[], freeBytes = Number.POSITIVE_INFINITY): void {
  const needed = weights.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (needed <= freeBytes) return;
  throw new HubError(
    `${name} takes ${formatBytes(needed)}, and the browser's storage has ${formatBytes(freeBytes)} left; delete kept models, or free disk space`,
  );
}
