import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { readUtf8 } from "@kvfold/decoder/node";
import { ConverterError } from "../converter-error.js";

/** What of a checkpoint turns text into token ids. */
export interface FolderTokenizer {
  /** Ids of a text, without special tokens around it. */
  readonly encode: (text: string) => readonly number[];
}

/**
 * Reads the tokenizer of a checkpoint's folder: `tokenizer.json`, with `tokenizer_config.json` where there is one.
 *
 * @throws {ConverterError} `malformed-checkpoint` when the folder has none, or it cannot be understood.
 */
export async function readTokenizer(folder: string): Promise<FolderTokenizer> {
  const path = join(folder, "tokenizer.json");
  const definition = await readUtf8(path);
  if (definition === undefined)
    throw malformed(`${path} is missing, so text cannot become tokens; add it, or give token ids as windows`);
  const settings = (await readUtf8(join(folder, "tokenizer_config.json"))) ?? "{}";
  try {
    const tokenizer = new Tokenizer(JSON.parse(definition) as object, JSON.parse(settings) as object);
    return { encode: (text) => tokenizer.encode(text, { add_special_tokens: false }).ids };
  } catch (cause) {
    const reason = (cause as Error).message;
    throw malformed(
      `${path} or tokenizer_config.json beside it cannot be read (${reason}); take both from the original model, or give token ids as windows`,
      cause,
    );
  }
}

const malformed = (message: string, cause?: unknown): ConverterError =>
  new ConverterError("malformed-checkpoint", message, { cause });
