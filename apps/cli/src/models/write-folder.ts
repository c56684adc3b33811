import { spillingHiddenStates } from "@kvfold/calibration/node";
import type { FoldProgress } from "@kvfold/converter";
import { writeModel } from "@kvfold/converter/node";
import { throwIfAborted } from "@kvfold/runtime";
import { sayInstead, UNNAMED_GRAPH } from "../files/say-instead.js";
import type { JobContext, Progress } from "../jobs/job.js";
import { openBlockMath } from "./open-block-math.js";

const ABORT_POLL_MILLISECONDS = 100;

export interface WriteOptions
  extends Omit<
    writeModel.Options,
    "math" | "hiddenStates" | "onBudget" | "onGradients" | "onProgress" | "signal"
  > {
  /** Cores that are free for the linear algebra, which runs beside the model; 1 unless given. */
  readonly algebraThreads?: number;
  /** Hidden states of more bytes than this go to a file; 512 MiB unless given. */
  readonly memoryBytes?: number | undefined;
}

/** Writes a folded model to an empty folder, with a thread for linear algebra and spill files in that folder. */
export async function writeFolder(
  { algebraThreads = 1, memoryBytes, ...options }: WriteOptions,
  { onProgress, signal }: JobContext,
): Promise<writeModel.Report> {
  const { layers } = options.checkpoint.config.shape;
  const math = openBlockMath(algebraThreads);
  // What is computed there may take minutes, and nobody asks about the signal meanwhile.
  const watch = setInterval(() => {
    if (signal.aborted) void math.dispose();
  }, ABORT_POLL_MILLISECONDS);
  try {
    const blocks = [[UNNAMED_GRAPH, `a block of ${options.from}`]] as const;
    return await sayInstead(blocks, () =>
      writeModel({
        ...options,
        math,
        hiddenStates: spillingHiddenStates({
          folder: options.to,
          ...(memoryBytes === undefined ? {} : { memoryBytes }),
        }),
        onBudget: ({ done, total }) => onProgress({ label: `budget: layer ${done}/${total}`, done, total }),
        onGradients: (gradients) => onProgress({ label: "gradients", ...gradients }),
        onProgress: (progress) => onProgress(toProgress(progress, layers)),
        signal,
      }),
    );
  } catch (error) {
    // What fails for want of that thread fails because it was to end.
    throwIfAborted(signal);
    throw error;
  } finally {
    clearInterval(watch);
    await math.dispose();
  }
}

function toProgress({ step, layer, done, total }: FoldProgress, layers: number): Progress {
  const label = step === "embed" ? "embed" : `layer ${layer + 1}/${layers}: ${step}`;
  return { label, done, total };
}
