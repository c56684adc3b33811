/** What went wrong: the shapes, an argument, the values, or the algorithm's own condition. */
export type NumericalErrorCode =
  | "shape-mismatch"
  | "invalid-argument"
  | "not-finite"
  | "not-positive-definite"
  | "no-convergence";

const marker = /*@__PURE__*/ Symbol.for("kvfold.linalg.error");

/** The one error of this package: `code` says what kind it is, the message what was found and what to do. */
export class NumericalError extends Error {
  override readonly name = "NumericalError";
  readonly code: NumericalErrorCode;

  constructor(code: NumericalErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, marker, { value: true });
  }

  /** True for a `NumericalError` of any installed copy of this package. */
  static isInstance(error: unknown): error is NumericalError {
    return typeof error === "object" && error !== null && marker in error;
  }
}
