import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { readUtf8 } from "@kvfold/decoder/node";
import { readTextTokenizer, type TextTokenizer } from "@kvfold/runtime";

/**
 * Reads the tokenizer of a model's folder: `tokenizer.json`, with `tokenizer_config.json` where there is one.
 *
 * @throws {RuntimeError} `malformed-tokenizer` when the folder has none, or it cannot be understood; `DecoderError`
 * `malformed-checkpoint` for files that are not UTF-8.
 */
export async function readTokenizer(folder: string): Promise<TextTokenizer> {
  const [definition, settings] = await Promise.all(
    ["tokenizer.json", "tokenizer_config.json"].map((file) => readUtf8(join(folder, file))),
  );
  return readTextTokenizer(Tokenizer, { model: folder, definition, settings });
}
