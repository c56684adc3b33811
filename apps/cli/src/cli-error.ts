/**
 * What went wrong, for scripts that read `--json` errors.
 *
 * - `usage`: options that do not fit together, or the model.
 * - `unreadable-file`: a file or folder that is missing or of the wrong kind.
 * - `malformed-file`: a file whose content is not what its name promises.
 * - `unsupported-model`: a model that this command cannot work with.
 * - `calibration-missing`: the method needs text and was given none.
 * - `insufficient-text`: text or context too short for what was asked.
 * - `output-exists`: writing would overwrite something.
 * - `write-failed`: an output, or standard output, that cannot be written.
 * - `not-found`: a Hub has no such model or revision.
 * - `access-denied`: a Hub wants a token, or another one.
 * - `network`: a Hub cannot be reached, or does not answer as it should.
 * - `damaged-download`: a file of a Hub came with the wrong size or checksum.
 * - `interrupted`: a signal ended the work.
 */
export type CliErrorCode =
  | "usage"
  | "unreadable-file"
  | "malformed-file"
  | "unsupported-model"
  | "calibration-missing"
  | "insufficient-text"
  | "output-exists"
  | "write-failed"
  | "not-found"
  | "access-denied"
  | "network"
  | "damaged-download"
  | "interrupted";

const marker = /*@__PURE__*/ Symbol.for("kvfold.cli.error");

interface CliErrorOptions extends ErrorOptions {
  readonly option?: string | undefined;
}

/** The one error of the command line: `code` says what was wrong, the message what to do about it. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly code: CliErrorCode;
  /** The option that the error is about, as jobs name it, e.g. `saveMoments`. The command line puts `--save-moments`. */
  readonly option: string | undefined;

  constructor(code: CliErrorCode, message: string, { option, ...options }: CliErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.option = option;
    Object.defineProperty(this, marker, { value: true });
  }

  /** True for a `CliError` of any installed copy of this package. */
  static isInstance(error: unknown): error is CliError {
    return typeof error === "object" && error !== null && marker in error;
  }
}
