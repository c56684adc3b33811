/** Why bytes could not be read or written: the file, a limit of ours, the values, or the request. */
export type SafetensorsErrorCode =
  | "malformed"
  | "truncated"
  | "limit-exceeded"
  | "unsupported-dtype"
  | "not-finite"
  | "overflow"
  | "invalid-argument"
  | "unknown-tensor"
  | "closed";

const marker = /*@__PURE__*/ Symbol.for("kvfold.safetensors.error");

/** The one error of this package: `code` says what kind it is, the message what was found and what to do. */
export class SafetensorsError extends Error {
  override readonly name = "SafetensorsError";
  readonly code: SafetensorsErrorCode;

  constructor(code: SafetensorsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, marker, { value: true });
  }

  /** True for a `SafetensorsError` of any installed copy of this package. */
  static isInstance(error: unknown): error is SafetensorsError {
    return typeof error === "object" && error !== null && marker in error;
  }
}
