import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { downloadFile } from "@huggingface/hub";
import type { HubFile } from "@kvfold/converter/internals";
import { type AbortSignalLike, throwIfAborted } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import type { HubConnection } from "./hub-connection.js";
import { hasBytes } from "./snapshot-cache.js";

export declare namespace download {
  interface Options {
    readonly commit: string;
    /** The folder of the commit. */
    readonly folder: string;
    readonly signal: AbortSignalLike;
    /** Bytes that are there, now and then. */
    readonly onBytes: (byteLength: number) => void;
  }
}

/**
 * Fetches a file that appears under its name complete or not at all. What comes is written to a partial file beside it,
 * at its place in the file and without gaps: the next process that opens the partial file continues at its end. Two processes may
 * do so at once, for both write the same bytes to the same places.
 *
 * @throws {CliError} `damaged-download` when size or checksum are not what the Hub says; the partial file is then gone.
 */
export async function download(
  hub: HubConnection,
  file: HubFile,
  { commit, folder, signal, onBytes }: download.Options,
): Promise<void> {
  const place = join(folder, file.name);
  if (await hasBytes(place, file.byteLength)) return onBytes(file.byteLength);
  await mkdir(dirname(place), { recursive: true });
  const partial = join(dirname(place), `.${basename(place)}.partial`);
  // Not "a": appended bytes would land after those of another process. And no link is followed, since the cache may be
  // a folder that others write to (Windows has no such flag).
  const flags = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
  const handle = await open(partial, flags);
  let damage: string | undefined;
  try {
    await receive(hub, file, { handle, commit, onBytes });
    damage = await findDamage(handle, file, signal);
  } finally {
    await handle.close();
  }
  if (damage !== undefined) {
    await rm(partial, { force: true });
    throw new CliError(
      "damaged-download",
      `${hub.name}: ${file.name} arrived with ${damage}; it was removed, run the same command again`,
    );
  }
  await rename(partial, place).catch(async (error: unknown) => {
    // Another process was done first.
    if (!(await hasBytes(place, file.byteLength))) throw error;
  });
}

interface Reception extends Pick<download.Options, "commit" | "onBytes"> {
  readonly handle: FileHandle;
}

/** Writes what is missing after the end of a partial file. */
async function receive(
  hub: HubConnection,
  file: HubFile,
  { handle, commit, onBytes }: Reception,
): Promise<void> {
  let position = (await handle.stat()).size;
  onBytes(position);
  if (position >= file.byteLength) return;
  const reader = await hub.ask(async () => {
    const rest = (await openBytes(hub, file, commit)).slice(position);
    return rest.stream().getReader();
  });
  for (;;) {
    const { done, value } = await hub.ask(() => reader.read());
    if (done) return;
    position = await writeAt(handle, value as Uint8Array, position);
    onBytes(position);
  }
}

async function openBytes(hub: HubConnection, { name }: HubFile, commit: string): Promise<Blob> {
  const { name: repo, hubUrl, token, fetch } = hub;
  const credentials = token === undefined ? {} : { accessToken: token };
  // Large files of the Hub have a protocol of their own (xet); ranges over HTTP work for all files alike.
  const options = { repo, path: name, revision: commit, hubUrl, fetch, xet: false, ...credentials };
  const blob = await downloadFile(options);
  if (blob !== null) return blob;
  throw new CliError("not-found", `${repo} has no file ${name} any more; run the same command again`);
}

/** Writes all bytes, and returns where they end. */
async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let written = 0;
  while (written < bytes.byteLength) {
    const { bytesWritten } = await handle.write(
      bytes,
      written,
      bytes.byteLength - written,
      position + written,
    );
    written += bytesWritten;
  }
  return position + written;
}

/** What is wrong with a file that came, if anything is. */
async function findDamage(
  handle: FileHandle,
  { byteLength, sha256 }: HubFile,
  signal: AbortSignalLike,
): Promise<string | undefined> {
  const hash = createHash("sha256");
  let found = 0;
  const content = handle.createReadStream({ start: 0, autoClose: false });
  for await (const chunk of content as AsyncIterable<Buffer>) {
    throwIfAborted(signal);
    hash.update(chunk);
    found += chunk.byteLength;
  }
  if (found !== byteLength) return `${found} bytes in place of ${byteLength}`;
  const digest = hash.digest("hex");
  return sha256 === undefined || digest === sha256 ? undefined : `SHA-256 ${digest} in place of ${sha256}`;
}
