import { streamModel } from "@kvfold/decoder";
import { throwIfAborted } from "@kvfold/runtime";
import { none } from "../methods/none.js";
import type { FoldOptions, FoldReport } from "./fold-options.js";
import { countProgress } from "./progress.js";

/** Whether a plan leaves all weights as they are. */
export const keepsWeights = ({ method, heal }: FoldOptions["plan"]): boolean =>
  method === none.name && heal === "none";

/**
 * Hands a model to the outputs as it is, a block at a time. Nothing is computed that a journal could spare, so it stays as
 * it is.
 */
export async function copyModel(options: FoldOptions): Promise<FoldReport> {
  const { checkpoint, outputs, onProgress, signal } = options;
  const { layers } = checkpoint.config.shape;
  const progress = countProgress({ unit: "block", total: layers, finished: 0 }, onProgress);
  await streamModel(checkpoint, outputs, (layer) => {
    throwIfAborted(signal);
    progress.block(layer);
  });
  return { retained: Array.from({ length: layers }, () => ({ keys: [], values: [] })) };
}
