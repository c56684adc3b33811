import { withOptionFlag } from "./option-flag.js";

/** An error as data: what crosses from the worker to the main thread, and what `--json` prints of it. */
export interface ReportedError {
  readonly code: string;
  readonly message: string;
  /** False for errors that nobody foresaw: bugs, whose stack is worth a look. */
  readonly expected: boolean;
  /** With those of its causes. */
  readonly stack: string | undefined;
}

/** Reduces anything that was thrown to what a user needs to know. */
export function reportError(error: unknown): ReportedError {
  if (!(error instanceof Error)) return unexpected("unknown", String(error), undefined);
  const code = codeOf(error);
  if (isKvfoldError(error)) return { ...expected(code, error), message: withOptionFlag(error) };
  if (isSystemError(error)) return { ...expected(code, error), message: describeSystemError(error) };
  return unexpected(code, error.message, stackOf(error));
}

const expected = (code: string, error: Error): ReportedError => ({
  code,
  message: error.message,
  expected: true,
  stack: stackOf(error),
});

const unexpected = (code: string, message: string, stack: string | undefined): ReportedError => ({
  code,
  message,
  expected: false,
  stack,
});

/** Causes of causes that are shown: a chain that goes on and on could be a circle. */
const MAX_CAUSES = 8;

/** The stack with those of what caused it. */
function stackOf(error: Error): string | undefined {
  const stacks = [error.stack];
  let { cause } = error;
  for (let depth = 0; cause instanceof Error && depth < MAX_CAUSES; depth++, { cause } = cause)
    stacks.push(`Caused by: ${cause.stack}`);
  return stacks.join("\n");
}

const codeOf = (error: Error): string =>
  "code" in error && typeof error.code === "string" ? error.code : error.name;

/** All packages mark their errors with `Symbol.for("kvfold.<package>.error")`. */
function isKvfoldError(error: Error): boolean {
  return Object.getOwnPropertySymbols(error).some((symbol) =>
    /^kvfold\.[a-z]+\.error$/.test(Symbol.keyFor(symbol) ?? ""),
  );
}

const isSystemError = (error: Error): error is NodeJS.ErrnoException & { readonly code: string } =>
  "syscall" in error && "code" in error && typeof error.code === "string";

const remedies: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full; free some space and run it again",
  EDQUOT: "the disk quota is used up; free some space and run it again",
  EFBIG: "the file grew over the allowed size; check the limits of the disk and of the shell (ulimit -f)",
  EACCES: "access was denied; check the permissions",
  EPERM: "access was denied; check the permissions",
  EROFS: "the disk is read-only; choose another place",
  EMFILE: "too many open files; raise the limit (ulimit -n)",
};

function describeSystemError({
  code,
  message,
  path,
}: NodeJS.ErrnoException & { readonly code: string }): string {
  const remedy = remedies[code];
  if (remedy === undefined) return message;
  return `${path ?? "writing"}: ${remedy} (${message})`;
}
