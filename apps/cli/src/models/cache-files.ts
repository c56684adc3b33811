import { writeWholeFile } from "@kvfold/converter/node";
import type { CausalLM, DecodingState } from "@kvfold/runtime";
import { RuntimeError } from "@kvfold/runtime";
import { fileSource } from "@kvfold/safetensors/node";
import { CliError } from "../cli-error.js";
import type { Existing } from "../files/whole-file.js";

/**
 * Goes on with the conversation of a file that `--save-cache` wrote.
 *
 * @param options - The identity of the model, as the file was saved with, and policies that act on the cache.
 * @throws {CliError} `unreadable-file` for a missing file, `malformed-file` for one that is no saved cache, damaged, or of
 *   another model.
 */
export async function readCache(
  path: string,
  lm: CausalLM,
  { identity, ...options }: CausalLM.CacheOptions & { readonly identity: string },
): Promise<DecodingState> {
  const source = await fileSource(path).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === "ENOENT" ? "no such saved cache" : `cannot be read (${cause.message})`;
    throw new CliError("unreadable-file", `--load-cache ${path}: ${reason}`, { cause });
  });
  try {
    return await lm.loadState(source, identity, options);
  } catch (cause) {
    if (!RuntimeError.isInstance(cause) || cause.code !== "cache-unreadable") throw cause;
    throw new CliError(
      "malformed-file",
      `--load-cache ${path} cannot be continued (${cause.message}); name a file that --save-cache wrote with this very model`,
      { cause },
    );
  } finally {
    await source.close();
  }
}

/**
 * Keeps a conversation in a file, which appears complete or not at all.
 *
 * @throws {ConverterError} `output-exists` when there is a file by then that may not be replaced; `write-failed`.
 */
export const writeCache = (
  path: string,
  state: DecodingState,
  { identity, existing }: { readonly identity: string; readonly existing: Existing },
): Promise<void> => writeWholeFile(path, state.save(identity).pieces, { existing });
