import { CliError } from "../cli-error.js";
import { hostOf, type Repository } from "./repository.js";
import { SilentHostError } from "./watchdog.js";

/** The error for the user behind whatever a request to the Hub ended with. */
export function describeFailure(cause: unknown, repository: Repository): Error {
  if (CliError.isInstance(cause)) return cause;
  const host = hostOf(repository);
  if (cause instanceof SilentHostError) {
    return networkError(`${host} went silent; check the network and run the same command again`, cause);
  }
  // What the Hub's client throws for an answer that it cannot read.
  if (cause instanceof SyntaxError || isFormatError(cause)) {
    return networkError(`${host} does not answer like a Hub (${cause.message}); check HF_ENDPOINT`, cause);
  }
  const what = isBroken(cause) ? `the connection to ${host} broke` : `${host} cannot be reached`;
  return networkError(
    `${what} (${reasonOf(cause)}); check the network and run the same command again`,
    cause,
  );
}

const networkError = (message: string, cause: unknown) => new CliError("network", message, { cause });

const isFormatError = (error: unknown): error is Error =>
  error instanceof Error && error.constructor.name === "InvalidApiResponseFormatError";

/** What `fetch` says of an answer that ends before its end. */
const isBroken = (error: unknown): boolean => error instanceof TypeError && error.message === "terminated";

/** `fetch` itself says no more than that it failed. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, code } = (error.cause ?? error) as { readonly message?: string; readonly code?: string };
  return message || code || error.message;
}
