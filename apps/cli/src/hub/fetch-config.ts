import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { CONFIG, type HubId } from "@kvfold/converter/internals";
import { CliError } from "../cli-error.js";
import type { JobContext } from "../jobs/job.js";
import { download } from "./download.js";
import {
  type fetchModel,
  findCommit,
  listRepository,
  PATIENCE_MILLISECONDS,
  repositoryOf,
} from "./fetch-model.js";
import { openConnection } from "./hub-connection.js";
import { snapshotCache } from "./snapshot-cache.js";

/**
 * The text of a model's `config.json` on a Hub. Nothing else is fetched, and no weights.
 *
 * @throws {CliError} `unsupported-model` for a repository without the file; and as `fetchModel`.
 */
export async function fetchConfig(
  id: HubId,
  { fetch = globalThis.fetch, ...settings }: fetchModel.Options,
  context: JobContext,
): Promise<string> {
  const { cacheFolder, patienceMilliseconds = PATIENCE_MILLISECONDS } = settings;
  const repository = repositoryOf(id, settings);
  const { signal } = context;
  const hub = openConnection(repository, { fetch, patienceMilliseconds, signal });
  try {
    const commit = await findCommit(hub);
    const file = (await listRepository(hub, commit)).get(CONFIG);
    if (file === undefined)
      throw new CliError("unsupported-model", `${hub.name} has no ${CONFIG}; name a Hugging Face checkpoint`);
    const folder = snapshotCache(cacheFolder, repository).folder(commit);
    await mkdir(folder, { recursive: true });
    await download(hub, file, { commit, folder, signal, onBytes() {} });
    return await readFile(join(folder, CONFIG), "utf8");
  } finally {
    hub.close();
  }
}
