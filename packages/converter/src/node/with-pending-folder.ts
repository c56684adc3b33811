import { type AbortSignalLike, throwIfAborted } from "@kvfold/runtime";
import { createPendingFolder } from "./model-folder.js";
import { removeStaleOutputs } from "./stale-outputs.js";

export declare namespace withPendingFolder {
  interface Options extends createPendingFolder.Options {
    /** Told of the folder that is written to until the output is complete. */
    readonly onTemporary?: ((path: string) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

/**
 * Runs `work` with an empty folder, which appears at `target` when `work` is done. When something fails, nothing is left of
 * it. What killed runs left beside `target` is removed first.
 *
 * @throws {ConverterError} `output-exists`, as `createPendingFolder`.
 * @throws {RuntimeError} `aborted` when `signal` has fired by the end of `work`.
 */
export const withPendingFolder = <T>(
  target: string,
  options: withPendingFolder.Options,
  work: (path: string) => Promise<T>,
): Promise<T> => withFolder(target, options, work, (folder) => folder.commit());

/** The same with a folder that is removed in the end: for hidden states of a process that writes no output itself. */
export const withPassingFolder = <T>(
  target: string,
  options: withPendingFolder.Options,
  work: (path: string) => Promise<T>,
): Promise<T> => withFolder(target, options, work, (folder) => folder.discard());

async function withFolder<T>(
  target: string,
  { onTemporary, signal, ...options }: withPendingFolder.Options,
  work: (path: string) => Promise<T>,
  end: (folder: Awaited<ReturnType<typeof createPendingFolder>>) => Promise<void>,
): Promise<T> {
  await removeStaleOutputs(target);
  const folder = await createPendingFolder(target, options);
  onTemporary?.(folder.path);
  try {
    const result = await work(folder.path);
    throwIfAborted(signal);
    await end(folder);
    return result;
  } catch (error) {
    await folder.discard();
    throw error;
  }
}
