import type { FoldPlan } from "@kvfold/converter";
import type { ModelFiles } from "../models/model-files.js";

/** A tuning of a fold that the page asks its worker for. */
export interface TuneRequest {
  readonly name: string;
  /** The checkpoint that was folded. */
  readonly files: ModelFiles;
  /** What the fold made of it. */
  readonly folded: ModelFiles;
  readonly steps: number;
  readonly text: string;
  /** Where ONNX Runtime's files are. */
  readonly runtimeUrl: string;
}

export interface TuneResult {
  /** The folder of the fold, with other weights. */
  readonly files: ModelFiles;
  readonly plan: FoldPlan;
  readonly seconds: number;
  /** The step whose weights were kept; 0 where none was better than the fold. */
  readonly kept: number;
  /**
   * How far predictions are from the original's on text that was not learned from, in nats per token: of the fold, and of what
   * was kept.
   */
  readonly heldOut: readonly [before: number, after: number];
}
