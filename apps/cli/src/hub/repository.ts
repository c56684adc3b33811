/** One model at one revision, and how to get at it. */
export interface Repository {
  /** `owner/name`. */
  readonly name: string;
  /** Branch, tag or commit. */
  readonly revision: string;
  /** Without a slash at its end. */
  readonly hubUrl: string;
  readonly token: string | undefined;
}

/** How messages name the Hub. */
export const hostOf = ({ hubUrl }: Pick<Repository, "hubUrl">): string => new URL(hubUrl).host;
