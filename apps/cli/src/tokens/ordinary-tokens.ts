import { join } from "node:path";
import { readUtf8 } from "@kvfold/decoder/node";
import { CliError } from "../cli-error.js";

/**
 * Tells token ids that stand for text from the special tokens that `tokenizer.json` lists.
 *
 * @throws {CliError} `malformed-file` when `tokenizer.json` is not JSON.
 */
export async function ordinaryTokens(folder: string): Promise<(id: number) => boolean> {
  const definition = (await readUtf8(join(folder, "tokenizer.json"))) ?? "{}";
  const special = new Set(specialTokens(folder, definition));
  return (id) => !special.has(id);
}

function specialTokens(folder: string, definition: string): readonly number[] {
  try {
    const { added_tokens: added = [] } = JSON.parse(definition) as {
      added_tokens?: readonly { id: number }[];
    };
    return added.map(({ id }) => id);
  } catch (cause) {
    throw new CliError(
      "malformed-file",
      `${join(folder, "tokenizer.json")} is not JSON; take it from the original model`,
      { cause },
    );
  }
}
