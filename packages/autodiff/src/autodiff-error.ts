/** Why a graph could not be differentiated. */
export type AutodiffErrorCode =
  /** A name that the graph lacks, or an option that does not fit it. */
  | "invalid-request"
  /** An operator, or a use of one, that has no gradient here. */
  | "no-gradient"
  /** An operator set that is too old or too new. */
  | "unsupported-opset";

const marker = /*@__PURE__*/ Symbol.for("kvfold.autodiff.error");

/** The one error of this package: `code` says what went wrong, the message what to do about it. */
export class AutodiffError extends Error {
  override readonly name = "AutodiffError";
  readonly code: AutodiffErrorCode;

  constructor(code: AutodiffErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, marker, { value: true });
  }

  /** True for an `AutodiffError` of any installed copy of this package. */
  static isInstance(error: unknown): error is AutodiffError {
    return typeof error === "object" && error !== null && marker in error;
  }
}
