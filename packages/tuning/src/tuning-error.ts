/** Why a model could not be tuned. */
export type TuningErrorCode =
  /** An option out of its range, or one that does not fit the model. */
  | "invalid-option"
  /** The loss or its gradient is no finite number any more, or far above where it began. */
  | "diverged"
  /** A saved state is damaged, or belongs to another tuning. */
  | "unusable-state";

const marker = /*@__PURE__*/ Symbol.for("kvfold.tuning.error");

/** The one error of this package: `code` says what went wrong, the message what to do about it. */
export class TuningError extends Error {
  override readonly name = "TuningError";
  readonly code: TuningErrorCode;
  /** The option that was wrong, where one was. */
  readonly option: string | undefined;

  constructor(code: TuningErrorCode, message: string, options: TuningError.Options = {}) {
    super(message, options);
    this.code = code;
    this.option = options.option;
    Object.defineProperty(this, marker, { value: true });
  }

  /** True for a `TuningError` of any installed copy of this package. */
  static isInstance(error: unknown): error is TuningError {
    return typeof error === "object" && error !== null && marker in error;
  }
}

export declare namespace TuningError {
  interface Options extends ErrorOptions {
    readonly option?: string;
  }
}
