import { throwIfAborted } from "@kvfold/runtime";
import { createPendingFolder } from "./model-folder.js";
import { removeStaleOutputs } from "./stale-outputs.js";
import type { withPendingFolder } from "./with-pending-folder.js";

/**
 * Runs `work` with an empty folder beside `target`, which is removed afterwards: for hidden states of a process that writes no
 * output itself. Otherwise as `withPendingFolder`.
 */
export async function withPassingFolder<T>(
  target: string,
  { onTemporary, signal, ...options }: withPendingFolder.Options,
  work: (path: string) => Promise<T>,
): Promise<T> {
  await removeStaleOutputs(target);
  const folder = await createPendingFolder(target, options);
  onTemporary?.(folder.path);
  try {
    const result = await work(folder.path);
    throwIfAborted(signal);
    return result;
  } finally {
    await folder.discard();
  }
}
