/** Libraries quote what they do not understand, however long it is. */
const MAX_LENGTH = 200;

/** What went wrong in a library, as far as a message of our own can quote it. */
export function shortMessage(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.length <= MAX_LENGTH ? message : `${message.slice(0, MAX_LENGTH)}…`;
}
