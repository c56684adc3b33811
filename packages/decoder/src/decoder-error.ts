/** What a caller can act on: the checkpoint's content, its kind, the disk or network it lies on, the request, or the output's disk. */
export type DecoderErrorCode =
  | "unsupported-model"
  | "malformed-checkpoint"
  | "unreadable-checkpoint"
  | "invalid-option"
  | "write-failed";

const marker = /*@__PURE__*/ Symbol.for("kvfold.decoder.error");

/** The one error of this package: `code` says what kind of problem it is, the message what was found and what to do. */
export class DecoderError extends Error {
  override readonly name = "DecoderError";
  readonly code: DecoderErrorCode;

  constructor(code: DecoderErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, marker, { value: true });
  }

  /** True for a `DecoderError` of any installed copy of this package. */
  static isInstance(error: unknown): error is DecoderError {
    return typeof error === "object" && error !== null && marker in error;
  }
}
