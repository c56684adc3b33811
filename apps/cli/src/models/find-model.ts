import { basename, join, resolve } from "node:path";
import { type HubId, parseHubId } from "@kvfold/converter/internals";
import { CliError, type CliErrorCode } from "../cli-error.js";
import { exists } from "../files/exists.js";
import { fetchModel } from "../hub/fetch-model.js";
import type { HubSettings } from "../hub/hub-settings.js";
import type { JobContext } from "../jobs/job.js";

/** A model that is on this machine. */
export interface FoundModel {
  /** As the user named it. */
  readonly name: string;
  /** Its folder or file. */
  readonly path: string;
  /** What it is called in records: a folder's name, or `owner/name@commit`. */
  readonly title: string;
}

/**
 * Finds what is given as MODEL: a folder or file, or else, where `hub` says how, a model of a Hub (`owner/name` or
 * `owner/name@revision`), which is fetched. Whether there is a model at that place is for others to say.
 *
 * @throws {CliError} as `fetchModel`.
 */
export async function findModel(
  name: string,
  hub: HubSettings | undefined,
  context: JobContext,
): Promise<FoundModel> {
  const [found] = await findModels([name], hub, context);
  return found!;
}

/** The same for several models, one after the other. */
export async function findModels(
  names: readonly string[],
  hub: HubSettings | undefined,
  context: JobContext,
): Promise<readonly FoundModel[]> {
  const found: FoundModel[] = [];
  let usesRevision = false;
  for (const name of names) {
    const id = await remoteId(name, hub);
    found.push(id === undefined ? localModel(name) : await remoteModel(name, id, hub!, context));
    usesRevision ||= id !== undefined && id.revision === undefined;
  }
  if (hub?.revision !== undefined && !usesRevision)
    context.onNotice(
      `--revision ${hub.revision} is not used: ${names.join(", ")} is here, or names a revision itself`,
    );
  return found;
}

/** The model of a Hub that is meant by a name; `undefined` for a folder or file, and without `hub`. */
export const remoteId = async (name: string, hub: HubSettings | undefined): Promise<HubId | undefined> =>
  hub === undefined || (await exists(name)) ? undefined : parseHubId(name);

const localModel = (name: string): FoundModel => ({ name, path: name, title: basename(resolve(name)) });

async function remoteModel(
  name: string,
  id: HubId,
  hub: HubSettings,
  context: JobContext,
): Promise<FoundModel> {
  const { folder, commit } = await fetchModel(id, hub, context).catch((error: unknown) => {
    throw withoutFolder(name, error);
  });
  const path = id.graph === undefined ? folder : join(folder, id.graph);
  return { name, path, title: `${id.repository}@${commit}` };
}

/** Errors that a misspelt path may cause. */
const NOWHERE: readonly CliErrorCode[] = ["not-found", "network"];

function withoutFolder(name: string, error: unknown): unknown {
  if (!CliError.isInstance(error) || !NOWHERE.includes(error.code)) return error;
  return new CliError(error.code, `there is no folder ${name} here, and ${error.message}`, { cause: error });
}
