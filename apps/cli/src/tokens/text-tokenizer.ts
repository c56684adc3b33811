import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { readUtf8 } from "@kvfold/decoder/node";
import { checkTokenizerFile, type TextTokenizer, textTokenizer } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import { shortMessage } from "../short-message.js";

/**
 * Reads the tokenizer of a model folder: `tokenizer.json`, with `tokenizer_config.json` where there is one.
 *
 * @throws {CliError} `unreadable-file` when the folder has none, `malformed-file` when it cannot be understood.
 */
export async function loadTokenizer(folder: string): Promise<TextTokenizer> {
  const definition = await readUtf8(join(folder, "tokenizer.json"));
  if (definition === undefined) {
    throw new CliError(
      "unreadable-file",
      `${folder} has no tokenizer.json, so text cannot become tokens; add it, or give token ids as a .u16 or .u32 file`,
    );
  }
  const settings = (await readUtf8(join(folder, "tokenizer_config.json"))) ?? "{}";
  return createTokenizer(folder, definition, settings);
}

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

function createTokenizer(folder: string, definition: string, settings: string): TextTokenizer {
  try {
    const fields = JSON.parse(settings) as textTokenizer.Settings;
    const parsed = JSON.parse(definition) as object;
    checkTokenizerFile(parsed);
    return textTokenizer(new Tokenizer(parsed, fields), fields);
  } catch (cause) {
    throw new CliError(
      "malformed-file",
      `${join(folder, "tokenizer.json")} or tokenizer_config.json beside it is broken or of an unknown kind (${shortMessage(cause)}); take both from the original model, or give token ids as .u16 or .u32 files`,
      { cause },
    );
  }
}
