const marker = /*@__PURE__*/ Symbol.for("kvfold.policies.error");

/**
 * What went wrong, for callers that react to it.
 *
 * - `shape-mismatch`: an array's length does not fit the described shape, or two shapes do not fit each other.
 * - `invalid-argument`: an option is outside its range.
 */
export type PolicyErrorCode = "shape-mismatch" | "invalid-argument";

/** The only error this package throws: `code` says what kind it is, the message what was found and what to do. */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
  readonly code: PolicyErrorCode;

  constructor(code: PolicyErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, marker, { value: true });
  }

  /** Whether `error` is a `PolicyError`, also one thrown by another copy of this package. */
  static isInstance(error: unknown): error is PolicyError {
    return typeof error === "object" && error !== null && marker in error;
  }
}
