import type { runStage } from "@kvfold/calibration";
import type { ModelSource } from "@kvfold/runtime";

/** A graph over calibration windows, and what it sums over them. */
export interface CalibrationGraph extends Pick<runStage.Options, "moments" | "crosses"> {
  readonly model: ModelSource;
}
