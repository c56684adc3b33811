import type { TrainingProgress } from "@kvfold/converter";
import { addFold, type PreparedModel } from "../fold/fold-state.js";
import { atWork, runtimeUrl, runWork, showStep } from "../maker/work-state.js";
import { calibrationText, embeddedModel } from "../models/embedded-model.js";
import { timeLeft } from "./time-left.js";
import type { TuneResult } from "./tune-request.js";

export interface TuneChoice {
  readonly steps: number;
  /** Text to learn from; a book that comes with the page without it. */
  readonly text: string;
}

const TUNED = ", tuned";

/** Only of the model of the page the checkpoint is always at hand, and small enough for this. */
export const canTune = ({ folder }: PreparedModel): boolean => folder.embedded === true;

/** Tunes a fold of the model of the page. The result is the fold to compare, and the fold itself stays to compare it with. */
export const tuneFolded = (fold: PreparedModel, { steps, text }: TuneChoice): Promise<void> =>
  atWork("enough", async () => {
    const { name, files } = await embeddedModel();
    const learned = text.trim() ? text : await calibrationText();
    showStep("tuning: loading both models", 0);
    const left = timeLeft(() => performance.now());
    const tuned = await runWork(
      "tune",
      { name, files, folded: fold.result.files, steps, text: learned, runtimeUrl: runtimeUrl() },
      (progress) => showStep(describeStep(progress, left(progress.step, steps)), progress.step / steps),
    );
    if (tuned.kept > 0) addFold(tunedFold(fold, tuned));
    return describeResult(fold, tuned);
  });

function tunedFold({ folder, label, result }: PreparedModel, tuned: TuneResult): PreparedModel {
  const { files, plan, seconds } = tuned;
  return {
    folder,
    label: label.endsWith(TUNED) ? label : label + TUNED,
    result: { files, plan, energy: result.energy, seconds },
  };
}

function describeStep({ step, steps, loss, heldOut }: TrainingProgress, left: number | undefined): string {
  const held = heldOut === undefined ? "" : `, held-out loss ${heldOut.toFixed(4)}`;
  const time = left === undefined ? "" : `, ${Math.ceil(left)} s left`;
  return `tuning: step ${step} of ${steps}, loss ${loss.toFixed(4)}${held}${time}`;
}

function describeResult({ label }: PreparedModel, { kept, seconds, heldOut }: TuneResult): string {
  const [before, after] = heldOut.map((loss) => loss.toFixed(4));
  const time = `in ${seconds.toFixed(1)} s`;
  if (kept === 0)
    return `No step made ${label} better ${time}: it stays as it was (held-out loss ${before}).`;
  return `Tuned ${label} ${time}: held-out loss ${after} instead of ${before}, after ${kept} steps.`;
}
