/** A model on a Hub. */
export interface HubId {
  /** `owner/name`. */
  readonly repository: string;
  /** Branch, tag or commit. */
  readonly revision: string | undefined;
}

/** What the Hub allows in names: no path can be made of it that leaves a folder. */
const PATTERN = /^([A-Za-z0-9_][\w.-]*\/[A-Za-z0-9_][\w.-]*)(?:@(\S+))?$/;

/** Reads `owner/name` or `owner/name@revision`; `undefined` for anything else. */
export function parseHubId(text: string): HubId | undefined {
  const [, repository, revision] = PATTERN.exec(text) ?? [];
  return repository === undefined ? undefined : { repository, revision };
}
