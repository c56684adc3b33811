import type { FoldPlan } from "@kvfold/converter";
import { CliError } from "../cli-error.js";

/** What is thrown where a fold needs text and has none: it says what for, and what to do without. */
export function calibrationMissing(plan: FoldPlan, measures: boolean): CliError {
  const { purpose, otherwise } = measures ? measuringText(plan) : runningText(plan);
  return new CliError(
    "calibration-missing",
    `calibration: ${purpose}; give a text (about 1 MB of what the model is for), or ${otherwise}`,
    { option: "calibration" },
  );
}

/** What text is for, and what to do without it. */
interface TextPurpose {
  readonly purpose: string;
  readonly otherwise: string;
}

const measuringText = ({ method }: FoldPlan): TextPurpose => ({
  purpose: `method ${method} measures activations`,
  otherwise: "reuse a measurement with --moments, or choose --method svd-w, which needs none",
});

const runningText = ({ heal, budget }: FoldPlan): TextPurpose =>
  heal === "none"
    ? { purpose: `budget ${budget} runs the model on text`, otherwise: "do without it by --budget uniform" }
    : { purpose: `healing (${heal}) runs the model on text`, otherwise: "do without it by --heal none" };
