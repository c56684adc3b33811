import { Tokenizer } from "@huggingface/tokenizers";
import { tokenizeDocument } from "@kvfold/calibration";
import { DecoderError } from "@kvfold/decoder";
import type { ModelFiles } from "./model-files.js";

/** Text to token ids and back. */
export interface TextTokenizer {
  readonly encode: (text: string) => readonly number[];
  readonly decode: (tokens: readonly number[]) => string;
  /** The token that begins every document, if the model knows one. */
  readonly bosToken: number | undefined;
  /** Tokens that end a text. */
  readonly stopTokens: readonly number[];
}

/**
 * Reads the tokenizer of a model's folder.
 *
 * @throws {DecoderError} `malformed-checkpoint` when there is none, or it is broken.
 */
export async function readTokenizer(files: ModelFiles): Promise<TextTokenizer> {
  const [definition, settings, config] = await Promise.all(
    ["tokenizer.json", "tokenizer_config.json", "config.json"].map((path) => readJson(files, path)),
  );
  if (definition === undefined)
    throw new DecoderError(
      "malformed-checkpoint",
      "tokenizer.json: missing; text cannot become tokens without it",
    );
  const tokenizer = new Tokenizer(definition, settings ?? {});
  const bosToken = config?.bos_token_id;
  return {
    encode: (text) => tokenizer.encode(text, { add_special_tokens: false }).ids,
    decode: (tokens) =>
      tokenizer.decode([...tokens], { skip_special_tokens: true, clean_up_tokenization_spaces: false }),
    bosToken: typeof bosToken === "number" ? bosToken : undefined,
    stopTokens: [config?.eos_token_id].flat().filter((token) => typeof token === "number"),
  };
}

/** The first `limit` tokens of a document. */
export function documentTokens(tokenizer: TextTokenizer, text: string, limit: number): Int32Array {
  const tokens: number[] = [];
  for (const piece of tokenizeDocument(text, tokenizer, tokenizer.bosToken)) {
    tokens.push(...piece);
    if (tokens.length >= limit) break;
  }
  return Int32Array.from(tokens.slice(0, limit));
}

async function readJson(files: ModelFiles, path: string): Promise<Record<string, unknown> | undefined> {
  const blob = files.get(path);
  if (blob === undefined) return undefined;
  try {
    return JSON.parse(await blob.text()) as Record<string, unknown>;
  } catch (cause) {
    throw new DecoderError("malformed-checkpoint", `${path} is not JSON`, { cause });
  }
}
