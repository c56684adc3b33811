import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type CommitProgressEvent, commitIter, createRepo, listFiles } from "@huggingface/hub";
import { CARD_FILE, CARD_NAME } from "@kvfold/converter/internals";
import { formatBytes } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import type { JobContext } from "../jobs/job.js";
import { findCommit, repositoryOf } from "./fetch-model.js";
import { type HubConnection, openConnection } from "./hub-connection.js";
import type { HubSettings } from "./hub-settings.js";
import { hostOf } from "./repository.js";

export declare namespace pushFolder {
  interface Options extends Omit<HubSettings, "cacheFolder" | "revision"> {
    /** `owner/name`. */
    readonly repository: string;
    readonly folder: string;
    /** Paths in the folder, with slashes. */
    readonly files: readonly string[];
    /** What becomes of a repository that has files: `refuse`, or a commit that replaces those of the same names. */
    readonly existing: "refuse" | "replace";
    /** Who sees a repository that is made; the account's own setting unless given. */
    readonly visibility?: "private" | "public" | undefined;
    readonly message: string;
    /** In place of the global one, for proxies and tests. */
    readonly fetch?: typeof globalThis.fetch;
  }
  interface Result {
    readonly repository: string;
    readonly url: string;
    readonly commit: string;
    readonly created: boolean;
  }
}

/** One request uploads a whole file, or a part of it. */
const PATIENCE_MILLISECONDS = 3_600_000;

/**
 * Uploads files to a model repository of a Hub in one commit, large ones by LFS as the Hub's client does it. The repository is
 * made where there is none.
 *
 * @throws {CliError} `output-exists` for a repository that has files already, unless they may be replaced; `access-denied`,
 *   `network`, `interrupted`. Nothing is committed then.
 */
export async function pushFolder(
  { fetch = globalThis.fetch, ...options }: pushFolder.Options,
  context: JobContext,
): Promise<pushFolder.Result> {
  const { repository: name, token, hubUrl, patienceMilliseconds = PATIENCE_MILLISECONDS } = options;
  if (token === undefined)
    throw new CliError(
      "access-denied",
      "push needs a token with write access; give one with HF_TOKEN or --token",
    );
  const repository = repositoryOf({ repository: name, revision: undefined }, { hubUrl, token });
  const hub = openConnection(repository, {
    fetch,
    patienceMilliseconds,
    signal: context.signal,
    interruption: "interrupted; nothing was committed",
  });
  try {
    const parent = await findParent(hub, options.existing);
    if (parent === undefined) await createRepository(hub, options.visibility);
    const commit = await commitFiles(hub, { ...options, parent }, context);
    return { repository: name, url: `${repository.hubUrl}/${name}`, commit, created: parent === undefined };
  } finally {
    hub.close();
  }
}

const clientOptions = ({ hubUrl, token, fetch }: HubConnection) => ({ hubUrl, fetch, accessToken: token! });

/** The commit that ours comes after; nothing where there is no such repository. */
async function findParent(
  hub: HubConnection,
  existing: pushFolder.Options["existing"],
): Promise<string | undefined> {
  try {
    const commit = await findCommit(hub);
    if (existing === "refuse") await requireEmpty(hub, commit);
    return commit;
  } catch (error) {
    if (CliError.isInstance(error) && error.code === "not-found") return undefined;
    throw error;
  }
}

/** What the Hub itself puts into a new repository. */
const GIT_ATTRIBUTES = ".gitattributes";

async function requireEmpty(hub: HubConnection, commit: string): Promise<void> {
  const files = await hub.ask(async () => {
    const found: string[] = [];
    const options = { repo: hub.name, revision: commit, ...clientOptions(hub) };
    for await (const { path } of listFiles(options)) if (path !== GIT_ATTRIBUTES) found.push(path);
    return found;
  });
  if (files.length === 0) return;
  throw new CliError(
    "output-exists",
    `${hub.name} at ${hostOf(hub)} has files already, ${files[0]} among them; choose another name, or add a commit over them with --force`,
  );
}

async function createRepository(
  hub: HubConnection,
  visibility: pushFolder.Options["visibility"],
): Promise<void> {
  const options = { repo: hub.name, ...(visibility === undefined ? {} : { visibility }) };
  await hub.ask(() => createRepo({ ...options, ...clientOptions(hub) }));
}

interface Upload extends Pick<pushFolder.Options, "folder" | "files" | "message"> {
  readonly parent: string | undefined;
}

/** Uploads and commits; returns the commit. */
function commitFiles(
  hub: HubConnection,
  { folder, files, message, parent }: Upload,
  { onProgress }: JobContext,
): Promise<string> {
  return hub.ask(async () => {
    const total = await sizeOf(folder, files);
    const done = new Map<string, number>();
    const events = commitIter({
      repo: hub.name,
      title: message,
      operations: await operationsOf(folder, files, hub.name),
      ...(parent === undefined ? {} : { parentCommit: parent }),
      ...clientOptions(hub),
    });
    for (;;) {
      const { done: isDone, value } = await events.next();
      if (isDone) return value!.commit.oid;
      onProgress(progressOf(value, done, files.length, total));
    }
  });
}

async function operationsOf(folder: string, files: readonly string[], name: string) {
  const card = await readFile(join(folder, CARD_FILE), "utf8").catch(() => undefined);
  return files.map((path) => {
    const content =
      path === CARD_FILE && card !== undefined
        ? new Blob([card.replaceAll(CARD_NAME, name)])
        : pathToFileURL(join(folder, path));
    return { operation: "addOrUpdate" as const, path, content };
  });
}

async function sizeOf(folder: string, files: readonly string[]): Promise<number> {
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder, file))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Files count alike: the client tells of each how far it is. */
function progressOf(event: CommitProgressEvent, done: Map<string, number>, total: number, bytes: number) {
  if (event.event === "phase") return { label: PHASES[event.phase], done: sumOf(done), total };
  if (event.state === "uploading") done.set(event.path, event.progress);
  return { label: `${event.state} ${event.path} (${formatBytes(bytes)} in all)`, done: sumOf(done), total };
}

const PHASES = {
  preuploading: "asking what is to be uploaded",
  uploadingLargeFiles: "uploading",
  committing: "committing",
};

const sumOf = (done: ReadonlyMap<string, number>): number =>
  [...done.values()].reduce((sum, share) => sum + share, 0);
