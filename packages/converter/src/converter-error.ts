/** What a caller can act on: the checkpoint, the request, the data or the machine. */
export type ConverterErrorCode =
  | "unsupported-model"
  | "invalid-option"
  | "insufficient-data"
  | "output-exists"
  | "unusable-journal"
  | "unusable-exchange"
  | "shard-missing"
  | "write-failed"
  | "aborted";

const marker = /*@__PURE__*/ Symbol.for("kvfold.converter.error");

interface ConverterErrorOptions extends ErrorOptions {
  readonly option?: string | undefined;
}

/** The one error of this package: `code` says who can fix it, the message what was found and what to do. */
export class ConverterError extends Error {
  override readonly name = "ConverterError";
  readonly code: ConverterErrorCode;
  /**
   * The option that the error is about, as functions of this package name it, e.g. `keySpan`. The message begins with
   * this name; a command line can say `--key-span` in its place.
   */
  readonly option: string | undefined;

  constructor(code: ConverterErrorCode, message: string, { option, ...options }: ConverterErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.option = option;
    Object.defineProperty(this, marker, { value: true });
  }

  /** True for a `ConverterError` of any installed copy of this package. */
  static isInstance(error: unknown): error is ConverterError {
    return typeof error === "object" && error !== null && marker in error;
  }
}
