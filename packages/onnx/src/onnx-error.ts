/** Why a graph could not be built, read or written. */
export type OnnxErrorCode = "invalid-graph" | "malformed-model" | "missing-tensor" | "write-failed";

const marker = /*@__PURE__*/ Symbol.for("kvfold.onnx.error");

/** The one error of this package: `code` says what went wrong, the message what to do about it. */
export class OnnxError extends Error {
  override readonly name = "OnnxError";
  readonly code: OnnxErrorCode;

  constructor(code: OnnxErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, marker, { value: true });
  }

  /** True for an `OnnxError` of any installed copy of this package. */
  static isInstance(error: unknown): error is OnnxError {
    return typeof error === "object" && error !== null && marker in error;
  }
}
