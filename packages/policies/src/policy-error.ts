const marker = /*@__PURE__*/ Symbol.for("kvfold.policies.error");

/** A list of policies that cannot be read, policies that do not go together, or one that lacks what it looks at. */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
  readonly code = "invalid-argument";

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    Object.defineProperty(this, marker, { value: true });
  }

  /** True for a `PolicyError` of any installed copy of this package. */
  static isInstance(error: unknown): error is PolicyError {
    return typeof error === "object" && error !== null && marker in error;
  }
}
