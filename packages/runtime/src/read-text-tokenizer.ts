import { checkTokenizerFile } from "./check-tokenizer-file.js";
import { RuntimeError } from "./runtime-error.js";
import { type TextTokenizer, type Tokenizer, textTokenizer } from "./text-tokenizer.js";

/** The files of a model that say how text becomes tokens, as they are written. */
export interface TokenizerFiles {
  /** What error messages call the model: its folder. */
  readonly model: string;
  /** The text of `tokenizer.json`, where there is one. */
  readonly definition: string | undefined;
  /** The text of `tokenizer_config.json`, where there is one. */
  readonly settings?: string | undefined;
}

/** Libraries quote what they do not understand, however long it is. */
const LONGEST_REASON = 200;

/**
 * The tokenizer of a model's files. `Library` makes it of the parsed files, as `Tokenizer` of `@huggingface/tokenizers` does.
 *
 * @throws {RuntimeError} `malformed-tokenizer` when `tokenizer.json` is missing, or the files are broken or of an unknown kind.
 *
 * @example
 * ```js
 * import { Tokenizer } from "@huggingface/tokenizers";
 *
 * const definition = await readFile("model/tokenizer.json", "utf8");
 * const { encode } = readTextTokenizer(Tokenizer, { model: "model", definition });
 * ```
 */
export function readTextTokenizer(
  Library: new (definition: object, settings: object) => Tokenizer,
  { model, definition, settings = "{}" }: TokenizerFiles,
): TextTokenizer {
  if (definition === undefined)
    throw malformed(
      `${model} has no tokenizer.json, so text cannot become tokens; add it, or give token ids in place of text`,
    );
  try {
    const fields = JSON.parse(settings) as textTokenizer.Settings;
    const parsed = JSON.parse(definition) as object;
    checkTokenizerFile(parsed);
    return textTokenizer(new Library(parsed, fields), fields);
  } catch (cause) {
    throw malformed(
      `${model}: tokenizer.json or tokenizer_config.json is broken or of an unknown kind (${reasonOf(cause)}); take both from the original model, or give token ids in place of text`,
      cause,
    );
  }
}

function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.length <= LONGEST_REASON ? message : `${message.slice(0, LONGEST_REASON)}…`;
}

const malformed = (message: string, cause?: unknown): RuntimeError =>
  new RuntimeError("malformed-tokenizer", message, { cause });
