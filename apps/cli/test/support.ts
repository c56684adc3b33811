import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { type JobContext, quietContext } from "../src/jobs/job.js";

const asset = (path: string): string => fileURLToPath(new URL(`../../../assets/${path}`, import.meta.url));

/** The small Llama of the repository: 6 layers, 8 heads of 32, context 1024. */
export const ROPE_MODEL: string = asset("models/prose-6m");
/** The small BLOOM: the same shape with ALiBi. */
export const ALIBI_MODEL: string = asset("models/prose-bloom-6m");
export const CALIBRATION_TOKENS: string = asset("text/calibration.u16");
export const VALIDATION_TOKENS: string = asset("text/validation.u16");
export const VALIDATION_TEXT: string = asset("text/sunshine-sketches.txt");

/** An empty folder that is gone after the test. */
export async function temporaryFolder(): Promise<string> {
  const path = await makeFolder();
  onTestFinished(() => removeFolder(path));
  return path;
}

/** An empty folder for the tests of a whole file; remove it afterwards. */
export const makeFolder = (): Promise<string> => mkdtemp(join(tmpdir(), "kvfold-test-"));

export const removeFolder = (path: string): Promise<void> => rm(path, { recursive: true, force: true });

/** A context that ends the job at its `count`-th progress report. */
export function abortingContext(count: number): JobContext {
  let reports = 0;
  return {
    ...quietContext,
    onProgress() {
      reports++;
    },
    signal: {
      get aborted() {
        return reports >= count;
      },
    },
  };
}

/** The code of whatever error a job ends with. */
export async function failureOf(
  work: Promise<unknown>,
): Promise<{ readonly code: string; readonly message: string }> {
  try {
    await work;
  } catch (error) {
    return error as { readonly code: string; readonly message: string };
  }
  throw new Error("expected the work to fail");
}
