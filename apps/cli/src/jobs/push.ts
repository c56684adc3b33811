import { readdir } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { parseHubId } from "@kvfold/converter/internals";
import { CliError } from "../cli-error.js";
import { RECORD_FILE } from "../files/output-folder.js";
import type { Existing } from "../files/whole-file.js";
import type { HubSettings } from "../hub/hub-settings.js";
import { pushFolder } from "../hub/push-folder.js";
import type { JobContext } from "./job.js";
import { type OptionNames, requireKnown } from "./known-options.js";

export declare namespace pushModel {
  interface Options {
    /** A folder that kvfold wrote. */
    readonly folder: string;
    /** `owner/name`. */
    readonly repository: string;
    readonly hub: HubSettings;
    /** What becomes of a repository that has files. */
    readonly existing: Existing;
    readonly visibility?: "private" | "public" | undefined;
    /** Of the commit. */
    readonly message?: string | undefined;
  }
  interface Result extends pushFolder.Result {
    /** Files that were pushed. */
    readonly files: number;
  }
}

const OPTIONS: OptionNames<pushModel.Options> = {
  folder: true,
  repository: true,
  hub: true,
  existing: true,
  visibility: true,
  message: true,
};

/**
 * Pushes a folder that kvfold wrote to a Hub.
 *
 * @throws {CliError} `unreadable-file` for another folder, `usage` for a name that is none; and as `pushFolder`.
 */
export async function pushModel(given: pushModel.Options, context: JobContext): Promise<pushModel.Result> {
  const {
    folder,
    repository,
    hub,
    existing,
    visibility,
    message = "Add a model folded by kvfold",
  } = requireKnown("pushModel", given, OPTIONS);
  const id = parseHubId(repository);
  if (id === undefined || id.revision !== undefined || id.graph !== undefined)
    throw new CliError("usage", `${repository} is not the name of a repository; expected owner/name`);
  const files = await listFolder(folder);
  if (!files.includes(RECORD_FILE))
    throw new CliError(
      "unreadable-file",
      `${folder} has no ${RECORD_FILE}, so kvfold did not write it; name the output of a fold`,
    );
  const { hubUrl, token, patienceMilliseconds } = hub;
  const place = { repository, hubUrl, token, patienceMilliseconds };
  const pushed = await pushFolder({ ...place, folder, files, existing, visibility, message }, context);
  return { ...pushed, files: files.length };
}

/** Regular files by their paths with slashes; hidden ones are nobody's to see. */
async function listFolder(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
    throw new CliError("unreadable-file", `${folder}: no such folder; name the output of a fold`, { cause });
  });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)).split(sep));
  return paths
    .filter((parts) => !parts.some((part) => part.startsWith(".")))
    .map((parts) => parts.join("/"))
    .toSorted();
}
