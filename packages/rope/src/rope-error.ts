const marker = Symbol.for("kvfold.rope.error");

/**
 * What went wrong, for callers that react to it.
 *
 * - `malformed-config`: a field of a model config is missing or has the wrong type or range.
 * - `unsupported-rope-type`: the config names a scaling this package does not know.
 * - `shape-mismatch`: an array's length does not fit the described shape.
 * - `invalid-argument`: any other option outside its range.
 */
export type RopeErrorCode =
  | "malformed-config"
  | "unsupported-rope-type"
  | "shape-mismatch"
  | "invalid-argument";

/**
 * The only error this package throws.
 *
 * @example
 * ```ts
 * import { RopeError, ropeParameters } from "@kvfold/rope";
 *
 * const attempt = () => {
 *   try {
 *     return ropeParameters({ head_dim: 64, rope_scaling: { rope_type: "spiral" } });
 *   } catch (error) {
 *     return RopeError.isInstance(error) ? error.code : error;
 *   }
 * };
 * attempt() // => "unsupported-rope-type"
 * ```
 */
export class RopeError extends Error {
  override readonly name = "RopeError";
  readonly code: RopeErrorCode;

  constructor(code: RopeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, marker, { value: true });
  }

  /** Whether `value` is a `RopeError`, also one thrown by another copy of this package. */
  static isInstance(value: unknown): value is RopeError {
    return typeof value === "object" && value !== null && Object.hasOwn(value, marker);
  }
}
