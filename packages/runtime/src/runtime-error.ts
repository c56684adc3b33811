/**
 * Why a model could not be loaded or run.
 *
 * - `aborted`: the caller's signal fired; its reason is the error's `cause`.
 * - `runtime-missing`: the ONNX Runtime package of a provider is not installed.
 * - `model-unreadable`: the model's file or bytes are missing or empty.
 * - `cache-unreadable`: a saved cache is none, is damaged, or is another model's.
 * - `storage-full`: a browser's storage has no room for the model.
 * - `out-of-memory`: the memory of the CPU or the GPU is used up.
 * - `device-lost`: the GPU is gone, for whatever reason; a model that is loaded anew works again.
 * - `session-failed`: ONNX Runtime refused the model.
 * - `run-failed`: ONNX Runtime refused the inputs of a run, or failed inside it.
 * - `disposed`: a session or a decoding state was used after `dispose()`.
 * - `busy`: a decoding state was used while it was still working on another call.
 * - `unsupported-model`: the graph's inputs or outputs are not those of a decoder with a cache.
 * - `malformed-tokenizer`: a model's tokenizer is missing, broken or of an unknown kind.
 * - `too-many-positions`: more tokens than the model, or the cache, has positions for.
 * - `invalid-argument`: an option or a token id outside its range.
 * - `invalid-logits`: logits that do not form a distribution (NaN, or no finite entry).
 */
export type RuntimeErrorCode =
  | "aborted"
  | "runtime-missing"
  | "model-unreadable"
  | "cache-unreadable"
  | "storage-full"
  | "out-of-memory"
  | "device-lost"
  | "session-failed"
  | "run-failed"
  | "disposed"
  | "busy"
  | "unsupported-model"
  | "malformed-tokenizer"
  | "too-many-positions"
  | "invalid-argument"
  | "invalid-logits";

const marker = /*@__PURE__*/ Symbol.for("kvfold.runtime.error");

/**
 * The one error of the runtime packages: `code` says what went wrong, the message what to do about it.
 *
 * @example
 * ```ts
 * import { RuntimeError, throwIfAborted } from "@kvfold/runtime";
 *
 * const attempt = () => {
 *   try {
 *     return throwIfAborted({ aborted: true });
 *   } catch (error) {
 *     return RuntimeError.isInstance(error) ? error.code : error;
 *   }
 * };
 * attempt() // => "aborted"
 * ```
 */
export class RuntimeError extends Error {
  override readonly name = "RuntimeError";
  readonly code: RuntimeErrorCode;

  constructor(code: RuntimeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, marker, { value: true });
  }

  /** True for a `RuntimeError` of any installed copy of this package. */
  static isInstance(error: unknown): error is RuntimeError {
    return typeof error === "object" && error !== null && marker in error;
  }
}
