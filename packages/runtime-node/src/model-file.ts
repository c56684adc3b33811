import { stat } from "node:fs/promises";
import { RuntimeError } from "@kvfold/runtime";

/**
 * Makes sure that there is a model to load before native code sees its path.
 *
 * @throws {RuntimeError} `model-unreadable` when there is no file at `path`, or it is empty.
 */
export async function checkModelFile(path: string): Promise<void> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new RuntimeError(
      "model-unreadable",
      `createSession: expected a model at ${path}, found no such file`,
      { cause },
    );
  });
  if (!found.isFile()) {
    throw new RuntimeError("model-unreadable", `createSession: expected a model at ${path}, found a folder`);
  }
  if (found.size === 0) {
    throw new RuntimeError(
      "model-unreadable",
      `createSession: expected a model at ${path}, found an empty file`,
    );
  }
}
