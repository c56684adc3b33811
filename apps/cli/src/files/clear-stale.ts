import { removeStaleOutputs } from "@kvfold/converter/node";
import { CliError } from "../cli-error.js";
import type { JobContext } from "../jobs/job.js";

/**
 * Removes what killed runs left beside an output, and says what it left alone.
 *
 * @throws {CliError} `output-exists` when another process is writing that output.
 */
export async function clearStale(output: string, { onNotice }: JobContext): Promise<void> {
  const { running, kept, restored } = await removeStaleOutputs(output);
  if (restored) onNotice(`${output} is back: the run that was replacing it was killed`);
  for (const path of kept) onNotice(`${path} is left of another run; remove it if that run is over`);
  if (running.length === 0) return;
  throw new CliError(
    "output-exists",
    `another run is writing ${output} (process ${running.join(", ")}); wait for it, or choose another output`,
  );
}
