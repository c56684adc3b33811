import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { readUtf8 } from "@kvfold/decoder/node";
import { checkTokenizerFile, type TextTokenizer, textTokenizer } from "@kvfold/runtime";
import { ConverterError } from "../converter-error.js";

/**
 * Reads the tokenizer of a checkpoint's folder: `tokenizer.json`, with `tokenizer_config.json` where there is one.
 *
 * @throws {ConverterError} `malformed-checkpoint` when the folder has none, or it cannot be understood.
 */
export async function readTokenizer(folder: string): Promise<TextTokenizer> {
  const path = join(folder, "tokenizer.json");
  const definition = await readUtf8(path);
  if (definition === undefined)
    throw malformed(`${path} is missing, so text cannot become tokens; add it, or give token ids as windows`);
  const settings = (await readUtf8(join(folder, "tokenizer_config.json"))) ?? "{}";
  try {
    const fields = JSON.parse(settings) as textTokenizer.Settings;
    const parsed = JSON.parse(definition) as object;
    checkTokenizerFile(parsed);
    return textTokenizer(new Tokenizer(parsed, fields), fields);
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
