import type { AbortSignalLike } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import { describeFailure } from "./describe-failure.js";
import { describeRefusal } from "./describe-refusal.js";
import type { Repository } from "./repository.js";
import { createWatchdog, watchBody } from "./watchdog.js";

type Fetch = typeof globalThis.fetch;

/** Requests for one repository, none of which waits for ever. */
export interface HubConnection extends Repository {
  /** For the Hub's client. Rejects for all answers but those with content and that a file is missing. */
  readonly fetch: Fetch;
  /** Does something with the Hub's client. @throws {CliError} that says what was wrong and what to do. */
  ask<T>(work: () => Promise<T>): Promise<T>;
  /** Breaks off what is under way. */
  close(): void;
}

export declare namespace openConnection {
  interface Options {
    readonly fetch: Fetch;
    /** How long the Hub may be silent in the middle of an answer. */
    readonly patienceMilliseconds: number;
    readonly signal: AbortSignalLike;
    /** What an interrupt leads to, for messages; that what arrived is kept unless given. */
    readonly interruption?: string;
  }
}

/** How soon a request to end is noticed. */
const POLL_MILLISECONDS = 100;

/** Opens a connection to a repository's Hub. The token goes to the Hub alone, wherever its answers lead. */
export function openConnection(
  repository: Repository,
  { fetch, patienceMilliseconds, signal, interruption = keptPart(repository) }: openConnection.Options,
): HubConnection {
  const ending = new AbortController();
  const poll = setInterval(() => {
    if (signal.aborted) ending.abort(new CliError("interrupted", interruption));
  }, POLL_MILLISECONDS).unref();
  // The client's streams reject with but the message of what a request ended with.
  let failure: Error | undefined;

  const request: Fetch = async (input, init) => {
    const watchdog = createWatchdog(patienceMilliseconds);
    const headers = withoutStrayToken(input, init?.headers, repository);
    try {
      const ends = AbortSignal.any([watchdog.signal, ending.signal]);
      const answer = await fetch(input, { ...init, headers, signal: ends });
      if (answer.ok || isMissingFile(answer)) return watchBody(answer, watchdog);
      throw describeRefusal(answer, repository);
    } catch (error) {
      watchdog.stop();
      failure = describeFailure(error, repository);
      throw failure;
    }
  };
  return {
    ...repository,
    fetch: request,
    async ask(work) {
      failure = undefined;
      try {
        return await work();
      } catch (error) {
        throw failure ?? describeFailure(error, repository);
      }
    },
    close() {
      clearInterval(poll);
      ending.abort(new Error("closed"));
    },
  };
}

const keptPart = ({ name }: Repository): string =>
  `interrupted; the part of ${name} that arrived is kept, continue with the same command`;

const isMissingFile = ({ status, headers }: Response): boolean =>
  status === 404 && headers.get("x-error-code") === "EntryNotFound";

/** Headers without the token where the address is not the Hub's own. */
function withoutStrayToken(
  input: Parameters<Fetch>[0],
  init: NonNullable<Parameters<Fetch>[1]>["headers"],
  { hubUrl }: Repository,
): Headers {
  const headers = new Headers(init);
  const address = new URL(input instanceof Request ? input.url : input);
  if (address.origin !== new URL(hubUrl).origin) headers.delete("authorization");
  return headers;
}
