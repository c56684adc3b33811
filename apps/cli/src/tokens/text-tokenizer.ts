import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { readUtf8 } from "@kvfold/decoder/node";
import { CliError } from "../cli-error.js";

/** Text to token ids and back. */
export interface TextTokenizer {
  readonly encode: (text: string) => readonly number[];
  readonly decode: (tokens: readonly number[]) => string;
}

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
      `${folder} has no tokenizer.json, so text cannot become tokens; add it, or give token ids as a .u16 file`,
    );
  }
  const config = (await readUtf8(join(folder, "tokenizer_config.json"))) ?? "{}";
  const tokenizer = createTokenizer(folder, definition, config);
  return {
    encode: (text) => tokenizer.encode(text, { add_special_tokens: false }).ids,
    decode: (tokens) =>
      tokenizer.decode([...tokens], { skip_special_tokens: true, clean_up_tokenization_spaces: false }),
  };
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

function createTokenizer(folder: string, definition: string, config: string): Tokenizer {
  try {
    return new Tokenizer(JSON.parse(definition) as object, JSON.parse(config) as object);
  } catch (cause) {
    throw new CliError(
      "malformed-file",
      `${join(folder, "tokenizer.json")} or tokenizer_config.json beside it is broken or of an unknown kind (${(cause as Error).message}); take both from the original model, or give token ids as .u16 files`,
      { cause },
    );
  }
}
