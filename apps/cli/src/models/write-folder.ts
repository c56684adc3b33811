import { spillingHiddenStates } from "@kvfold/calibration/node";
import type { FoldProgress } from "@kvfold/converter";
import { workerBlockMath, writeModel } from "@kvfold/converter/node";
import { nodeProvider } from "@kvfold/runtime-node";
import type { JobContext, Progress } from "../jobs/job.js";

/** Writes a folded model to an empty folder, with ONNX Runtime for Node and spill files in that folder. */
export async function writeFolder(
  options: Omit<
    writeModel.Options,
    "provider" | "math" | "hiddenStates" | "onBudget" | "onProgress" | "signal"
  >,
  { onProgress, signal }: JobContext,
): Promise<writeModel.Report> {
  const { layers } = options.checkpoint.config.shape;
  // By name, not by place: threads run the build, in tests too.
  const math = workerBlockMath({ script: new URL(import.meta.resolve("kvfold/block-math-worker")) });
  try {
    return await writeModel({
      ...options,
      provider: nodeProvider(),
      math,
      hiddenStates: spillingHiddenStates({ folder: options.to }),
      onBudget: ({ done, total }) => onProgress({ label: `budget: layer ${done}/${total}`, done, total }),
      onProgress: (progress) => onProgress(toProgress(progress, layers)),
      signal,
    });
  } finally {
    await math.dispose();
  }
}

function toProgress({ step, layer, done, total }: FoldProgress, layers: number): Progress {
  const label = step === "embed" ? "embed" : `layer ${layer + 1}/${layers}: ${step}`;
  return { label, done, total };
}
