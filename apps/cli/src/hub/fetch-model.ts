import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ListFileEntry, listFiles, modelInfo } from "@huggingface/hub";
import {
  CONFIG,
  dataFiles,
  graphPaths,
  type HubFile,
  type HubId,
  hasCheckpoint,
  type Listing,
  listingOf,
  SHARD_INDEX,
  weightFiles,
} from "@kvfold/converter/internals";
import { readConfig } from "@kvfold/decoder";
import { type GraphView, readModel } from "@kvfold/onnx";
import { formatBytes } from "@kvfold/runtime";
import { parseShardIndex } from "@kvfold/safetensors";
import { CliError } from "../cli-error.js";
import type { JobContext } from "../jobs/job.js";
import { download } from "./download.js";
import { type HubConnection, openConnection } from "./hub-connection.js";
import type { HubSettings } from "./hub-settings.js";
import { chooseGraph, graphFile, smallFiles } from "./needed-files.js";
import { hostOf, type Repository } from "./repository.js";
import { type Snapshot, snapshotCache } from "./snapshot-cache.js";

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
 * Fetches the checkpoint of a model from a Hub, unless it is in the cache. Of a repository without one, the most exact ONNX graph is
 * fetched, which `onNotice` names, or the graph that is asked for. A branch or tag is looked up each time;
 * where the Hub cannot be reached, what it was last is used, and `onNotice` says so. A commit that is in the cache takes
 * no network at all.
 *
 * @throws {CliError} `not-found`, `access-denied`, `network`, `damaged-download`, `interrupted`, or `unsupported-model`
 * for a repository without a checkpoint or a graph. Downloaded parts are kept, and the next call continues there.
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
  const kept = await cache.find(revision, id.graph);
  if (kept?.commit === revision) return { folder: cache.folder(revision), commit: revision };
  const hub = openConnection(repository, { fetch, patienceMilliseconds, signal: context.signal });
  try {
    const commit = await findCommit(hub).catch((error: unknown) => {
      if (kept === undefined || !isNetworkError(error)) throw error;
      context.onNotice(describeReuse(repository, kept, error));
      return kept.commit;
    });
    const snapshot =
      (await cache.find(commit, id.graph)) ??
      (await fetchSnapshot(hub, { commit, folder: cache.folder(commit), graph: id.graph }, context));
    await cache.keep(revision, snapshot, id.graph);
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

/** What is fetched of a commit, and where to. */
interface Wanted extends Place {
  /** The graph that was named, if one was. */
  readonly graph: string | undefined;
}

type Place = Pick<download.Options, "commit" | "folder">;

/** Fetches what is missing of a commit, small files first: they tell whether the large ones are of any use. */
async function fetchSnapshot(
  hub: HubConnection,
  { graph: named, ...place }: Wanted,
  context: JobContext,
): Promise<Snapshot> {
  const { commit, folder } = place;
  await mkdir(folder, { recursive: true });
  const listing = await listWeights(hub, commit, named);
  const small = smallFiles(listing, hub);
  const graph = named ?? (hasCheckpoint(listing) ? undefined : chooseGraph(listing, hub));
  if (graph !== named) context.onNotice(describeChoice(graph!, listing, hub));
  await downloadAll(hub, small, place, context);
  readConfig(await readFile(join(folder, CONFIG), "utf8"));
  const weights =
    graph === undefined
      ? await fetchShards(hub, listing, place, context)
      : await fetchGraph(hub, { listing, graph }, place, context);
  return { commit, files: [...small, ...weights].map(({ name, byteLength }) => ({ name, byteLength })) };
}

async function fetchShards(
  hub: HubConnection,
  listing: Listing,
  place: Place,
  context: JobContext,
): Promise<readonly HubFile[]> {
  const files = weightFiles(listing, await readShards(listing, place.folder), hub);
  await downloadAll(hub, files, place, context);
  return files;
}

/** A graph says itself in which files its weights lie. */
async function fetchGraph(
  hub: HubConnection,
  { listing, graph }: { readonly listing: Listing; readonly graph: string },
  place: Place,
  context: JobContext,
): Promise<readonly HubFile[]> {
  const file = graphFile(listing, graph, hub);
  await downloadAll(hub, [file], place, context);
  const { initializers } = readGraph(await readFile(join(place.folder, graph)), `${hub.name}: ${graph}`);
  const paths = new Set([...initializers.values()].flatMap(({ location }) => location?.path ?? []));
  const data = dataFiles(listing, graph, [...paths].toSorted(), hub);
  await downloadAll(hub, data, place, context);
  return [file, ...data];
}

function readGraph(bytes: Uint8Array, name: string): GraphView {
  try {
    return readModel(bytes);
  } catch (cause) {
    throw new CliError("malformed-file", `${name} cannot be read (${(cause as Error).message})`, { cause });
  }
}

function describeChoice(graph: string, listing: Listing, { name }: HubConnection): string {
  const others = graphPaths(listing).filter((file) => file !== graph);
  const hint =
    others.length === 0
      ? ""
      : `; name another one as ${name}/${others[0]} (also there: ${others.join(", ")})`;
  return `${name} has no safetensors: using ${graph}${hint}`;
}

/** What the main folder of a commit holds. */
export const listRepository = async (hub: HubConnection, commit: string): Promise<Listing> =>
  listingOf(await listFolder(hub, commit));

const GRAPH_FOLDER = "onnx";

/** The same, and what there is in the folder of graphs where weights are to come from there. */
async function listWeights(hub: HubConnection, commit: string, graph: string | undefined): Promise<Listing> {
  const entries = await listFolder(hub, commit);
  const listing = listingOf(entries);
  const isThere = entries.some(({ type, path }) => type === "directory" && path === GRAPH_FOLDER);
  if (!isThere || (graph === undefined && hasCheckpoint(listing))) return listing;
  return new Map([...listing, ...listingOf(await listFolder(hub, commit, GRAPH_FOLDER))]);
}

function listFolder(hub: HubConnection, commit: string, path?: string): Promise<readonly ListFileEntry[]> {
  const place = path === undefined ? {} : { path };
  const options = { repo: hub.name, revision: commit, ...place, ...clientOptions(hub) };
  return hub.ask(async () => {
    const entries: ListFileEntry[] = [];
    for await (const entry of listFiles(options)) entries.push(entry);
    return entries;
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
  place: Place,
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
