import { listFiles, modelInfo } from "@huggingface/hub";
import {
  type HubFile,
  type ListedFile,
  type Listing,
  listingOf,
  parseHubId,
} from "@kvfold/converter/internals";
import { HubError, refusedBy, unreachable } from "./hub-error.js";

/** A model on a Hub, at one commit. */
export interface HubRepository {
  /** `owner/name`. */
  readonly name: string;
  readonly commit: string;
  readonly listing: Listing;
  /** The content of a file. @throws {HubError}; what `signal` aborts with. */
  readonly open: (file: Pick<HubFile, "name">) => Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
}

export interface HubOptions {
  /** Without a slash at its end. */
  readonly hubUrl: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Finds a model on a Hub, and what files it has.
 *
 * @param text - `owner/name` or `owner/name@revision`.
 * @throws {HubError} for a name that cannot be one, a model that is missing, private or gated, and a Hub that is out of reach.
 */
export async function findRepository(text: string, { hubUrl, signal }: HubOptions): Promise<HubRepository> {
  const id = parseHubId(text);
  if (id === undefined) throw new HubError(`${text || "nothing"}: expected a name such as owner/name`);
  const { repository: name, revision = "main", graph } = id;
  if (graph !== undefined)
    throw new HubError(
      `${text}: this page reads checkpoints in safetensors and no graphs; name ${name} alone`,
    );
  const request = asking({ name, revision, hubUrl }, signal);
  const { sha: commit } = await modelInfo({
    name,
    revision,
    additionalFields: ["sha"],
    hubUrl,
    fetch: request,
  });
  const entries: ListedFile[] = [];
  for await (const entry of listFiles({ repo: name, revision: commit, hubUrl, fetch: request }))
    entries.push(entry);
  return {
    name,
    commit,
    listing: listingOf(entries),
    async open(file) {
      const answer = await request(`${hubUrl}/${name}/resolve/${commit}/${encodeURIComponent(file.name)}`);
      return answer.body!;
    },
  };
}

/** `fetch` whose failures say what is wrong. */
const asking =
  (
    place: { readonly name: string; readonly revision: string; readonly hubUrl: string },
    signal?: AbortSignal,
  ) =>
  async (...[input, init]: Parameters<typeof fetch>): Promise<Response> => {
    const answer = await fetch(input, { ...init, ...(signal === undefined ? {} : { signal }) }).catch(
      (cause: unknown) => {
        signal?.throwIfAborted();
        throw unreachable(place.hubUrl, cause);
      },
    );
    if (answer.ok) return answer;
    throw refusedBy(answer, place);
  };
