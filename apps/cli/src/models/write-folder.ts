import { spillingHiddenStates } from "@kvfold/calibration/node";
import type { FoldProgress, foldModel } from "@kvfold/converter";
import { writeModel } from "@kvfold/converter/node";
import { nodeProvider } from "@kvfold/runtime-node";
import type { JobContext, Progress } from "../jobs/job.js";

/** Writes a folded model to an empty folder, with ONNX Runtime for Node and spill files in that folder. */
export function writeFolder(
  options: Omit<writeModel.Options, "provider" | "hiddenStates" | "onProgress" | "signal">,
  { onProgress, signal }: JobContext,
): Promise<foldModel.Report> {
  const { layers } = options.checkpoint.config.shape;
  return writeModel({
    ...options,
    provider: nodeProvider(),
    hiddenStates: spillingHiddenStates({ folder: options.to }),
    onProgress: (progress) => onProgress(toProgress(progress, layers)),
    signal,
  });
}

/** Progress in layers: measuring and healing are nearly all of the time. */
function toProgress({ step, layer, done, total }: FoldProgress, layers: number): Progress {
  const label = step === "embed" ? "embed" : `layer ${layer + 1}/${layers}: ${step}`;
  return { label, done: layer + shareOfLayer(step, done / total), total: layers };
}

function shareOfLayer(step: FoldProgress["step"], share: number): number {
  if (step === "embed") return 0;
  if (step === "measure") return 0.4 * share;
  if (step === "fold") return 0.4;
  return step === "heal" ? 0.4 + 0.55 * share : 1;
}
