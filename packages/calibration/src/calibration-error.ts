/** What went wrong while calibrating, for a caller to act on. */
export type CalibrationErrorCode =
  | "too-few-tokens"
  | "malformed-moments"
  | "moments-mismatch"
  | "malformed-tokens"
  | "storage-failed";

const marker = /*@__PURE__*/ Symbol.for("kvfold.calibration.error");

/** The one error of this package: `code` says what was wrong, the message what was found and what to do. */
export class CalibrationError extends Error {
  override readonly name = "CalibrationError";
  readonly code: CalibrationErrorCode;

  constructor(code: CalibrationErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, marker, { value: true });
  }

  /** True for a `CalibrationError` of any installed copy of this package. */
  static isInstance(error: unknown): error is CalibrationError {
    return typeof error === "object" && error !== null && marker in error;
  }
}
