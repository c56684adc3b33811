import { type HubAnswer, refusalReason } from "@kvfold/converter/internals";

/** Why a model cannot be had from a Hub, in words for the user. */
export class HubError extends Error {
  override readonly name = "HubError";
}

/** A model on a Hub, as messages name it. */
interface Place {
  readonly name: string;
  readonly revision: string;
  readonly hubUrl: string;
}

const hostOf = (hubUrl: string): string => new URL(hubUrl).host;

/** The error behind an answer that is none. */
export function refusedBy(answer: HubAnswer, { name, revision, hubUrl }: Place): HubError {
  const host = hostOf(hubUrl);
  switch (refusalReason(answer)) {
    case "GatedRepo":
      return new HubError(
        `${name} is gated, and this page has no token: accept its conditions at ${hubUrl}/${name}, download it there, and drop its folder here`,
      );
    case "RevisionNotFound":
      return new HubError(`${name} at ${host} has no revision ${revision}; name a branch, a tag or a commit`);
    case "RepoNotFound":
    case "InvalidToken":
      return new HubError(`${host} has no model ${name}, or it is private; check the name`);
    case "Forbidden":
      return new HubError(`${host} denies access to ${name}; download it yourself, and drop its folder here`);
    case "Other":
      return new HubError(`${host} answered with status ${answer.status} for ${name}; try again later`);
  }
}

/** The error where no answer came, or it broke off. */
export const unreachable = (hubUrl: string, cause: unknown): HubError =>
  new HubError(
    globalThis.navigator?.onLine === false
      ? "this browser is offline; models that it keeps can still be opened"
      : `${hostOf(hubUrl)} cannot be reached, or the connection broke; check the network and try again`,
    { cause },
  );
