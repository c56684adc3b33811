/** What a caller can act on: the checkpoint, the request, the data or the machine. */
export type ConverterErrorCode =
  | "unsupported-model"
  | "malformed-checkpoint"
  | "invalid-option"
  | "insufficient-data"
  | "output-exists"
  | "unusable-journal"
  | "write-failed"
  | "aborted";

const marker = /*@__PURE__*/ Symbol.for("kvfold.converter.error");

/** The one error of this package: `code` says whose turn it is, the message what was found and what to do. */
export class ConverterError extends Error {
  override readonly name = "ConverterError";
  readonly code: ConverterErrorCode;

  constructor(code: ConverterErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, marker, { value: true });
  }

  /** True for a `ConverterError` of any installed copy of this package. */
  static isInstance(error: unknown): error is ConverterError {
    return typeof error === "object" && error !== null && marker in error;
  }
}
