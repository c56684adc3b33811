import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ListFileEntry, listFiles, modelInfo } from "@huggingface/hub";
import {
  CONFIG,
  type HubFile,
  type HubId,
  type Listing,
  listingOf,
  SHARD_INDEX,
  weightFiles,
} from "@kvfold/converter/internals";
import { readConfig } from "@kvfold/decoder";
import { formatBytes } from "@kvfold/runtime";
import { parseShardIndex } from "@kvfold/safetensors";
import { CliError } from "../cli-error.js";
import type { JobContext } from "../jobs/job.js";
import { download } from "./download.js";
import { type HubConnection, openConnection } from "./hub-connection.js";
import type { HubSettings } from "./hub-settings.js";
import { smallFiles } from "./needed-files.js";
import { hostOf, type Repository } from "./repository.js";
import { type Snapshot, type SnapshotCache, snapshotCache } from "./snapshot-cache.js";

export declare namespace fetchModel {
  interface Options extends HubSettings {
    /** In place of the global one, for proxies and tests. */
    readonly fetch?: typeof globalThis.fetch;
  }
  interface Result {
    /** Where the files are. */
    readonly folder: string;
    readonly commit: string;
  }
}

const HUB_URL = "https://huggingface.co";
export const PATIENCE_MILLISECONDS = 30_000;
const COMMIT = /^[0-9a-f]{40}$/;

/**
 * Fetches the checkpoint of a model from a Hub, unless it is in the cache. A branch or tag is looked up each time;
 * where the Hub cannot be reached, what it was last is used, and `onNotice` says so. A commit that is in the cache takes
 * no network at all.
 *
 * @throws {CliError} `not-found`, `access-denied`, `network`, `damaged-download`, `interrupted`, or `unsupported-model`
 * for a repository without a checkpoint in safetensors. Downloaded parts are kept, and the next call continues there.
 * @throws {DecoderError} `unsupported-model` for a family that kvfold does not know, before weights are fetched.
 */
export async function fetchModel(
  id: HubId,
  { fetch = globalThis.fetch, ...settings }: fetchModel.Options,
  context: JobContext,
): Promise<fetchModel.Result> {
  const { cacheFolder, patienceMilliseconds = PATIENCE_MILLISECONDS } = settings;
  const repository = repositoryOf(id, settings);
  const { revision } = repository;
  const cache = snapshotCache(cacheFolder, repository);
  const kept = await cache.find(revision);
  if (kept?.commit === revision) return { folder: cache.folder(revision), commit: revision };
  const hub = openConnection(repository, { fetch, patienceMilliseconds, signal: context.signal });
  try {
    const commit = await findCommit(hub).catch((error: unknown) => {
      if (kept === undefined || !isNetworkError(error)) throw error;
      context.onNotice(describeReuse(repository, kept, error));
      return kept.commit;
    });
    const snapshot = (await cache.find(commit)) ?? (await fetchSnapshot(hub, commit, cache, context));
    await cache.keep(revision, snapshot);
    return { folder: cache.folder(commit), commit };
  } finally {
    hub.close();
  }
}

/**
 * What is asked for, in full.
 *
 * @throws {CliError} `usage` for a token or an address that cannot be one.
 */
export function repositoryOf(
  { repository: name, revision: own }: HubId,
  { hubUrl = HUB_URL, token, revision = "main" }: Pick<HubSettings, "hubUrl" | "token" | "revision">,
): Repository {
  if (token !== undefined && !token.startsWith("hf_"))
    throw new CliError("usage", "HF_TOKEN or --token: a token of the Hub begins with hf_");
  if (!/^https?:\/\//.test(hubUrl) || !URL.canParse(hubUrl))
    throw new CliError("usage", `HF_ENDPOINT ${hubUrl}: expected an address such as ${HUB_URL}`);
  return { name, revision: own ?? revision, hubUrl: hubUrl.replace(/\/+$/, ""), token };
}

/** The commit that a branch or tag is now. */
export async function findCommit(hub: HubConnection): Promise<string> {
  const { name, revision } = hub;
  const options = { name, revision, additionalFields: ["sha" as const], ...clientOptions(hub) };
  const { sha } = await hub.ask(() => modelInfo(options));
  // It becomes the name of a folder.
  if (COMMIT.test(sha)) return sha;
  throw new CliError("network", `${hostOf(hub)} does not answer like a Hub: ${name} has no commit`);
}

/** What the Hub's client wants to know for each request. */
const clientOptions = ({ hubUrl, token, fetch }: HubConnection) => ({
  hubUrl,
  fetch,
  ...(token === undefined ? {} : { accessToken: token }),
});

const isNetworkError = (error: unknown): error is CliError =>
  CliError.isInstance(error) && error.code === "network";

const describeReuse = ({ name, revision }: Repository, { commit }: Snapshot, { message }: CliError): string =>
  `using ${name} as it was fetched before (${revision} was ${commit.slice(0, 8)} then): ${message}`;

/** Fetches what is missing of a commit, small files first: they tell whether the large ones are of any use. */
async function fetchSnapshot(
  hub: HubConnection,
  commit: string,
  cache: SnapshotCache,
  context: JobContext,
): Promise<Snapshot> {
  const folder = cache.folder(commit);
  await mkdir(folder, { recursive: true });
  const listing = await listRepository(hub, commit);
  const small = smallFiles(listing, hub);
  await downloadAll(hub, small, { commit, folder }, context);
  readConfig(await readFile(join(folder, CONFIG), "utf8"));
  const weights = weightFiles(listing, await readShards(listing, folder), hub);
  await downloadAll(hub, weights, { commit, folder }, context);
  return { commit, files: [...small, ...weights].map(({ name, byteLength }) => ({ name, byteLength })) };
}

/** What the main folder of a commit holds. */
export function listRepository(hub: HubConnection, commit: string): Promise<Listing> {
  const options = { repo: hub.name, revision: commit, ...clientOptions(hub) };
  return hub.ask(async () => {
    const entries: ListFileEntry[] = [];
    for await (const entry of listFiles(options)) entries.push(entry);
    return listingOf(entries);
  });
}

/** Names of the shards, where there is an index of them. */
async function readShards(listing: Listing, folder: string): Promise<Iterable<string> | undefined> {
  if (!listing.has(SHARD_INDEX)) return undefined;
  return parseShardIndex(await readFile(join(folder, SHARD_INDEX), "utf8")).values();
}

/** Bytes between two reports: chunks of a stream are far smaller. */
const REPORT_BYTES = 2 ** 20;

async function downloadAll(
  hub: HubConnection,
  files: readonly HubFile[],
  place: Pick<download.Options, "commit" | "folder">,
  { onProgress, signal }: JobContext,
): Promise<void> {
  const total = files.reduce((sum, { byteLength }) => sum + byteLength, 0);
  let before = 0;
  for (const [index, file] of files.entries()) {
    let reported = Number.NEGATIVE_INFINITY;
    const onBytes = (byteLength: number) => {
      if (byteLength < reported + REPORT_BYTES && byteLength < file.byteLength) return;
      reported = byteLength;
      const label = `fetch ${file.name} (${index + 1}/${files.length}): ${formatBytes(byteLength)} of ${formatBytes(file.byteLength)}`;
      onProgress({ label, done: before + byteLength, total });
    };
    await download(hub, file, { ...place, signal, onBytes });
    before += file.byteLength;
  }
}
