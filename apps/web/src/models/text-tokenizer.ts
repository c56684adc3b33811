import { Tokenizer } from "@huggingface/tokenizers";
import { checkTokens, tokenizeDocument } from "@kvfold/calibration";
import { DecoderError } from "@kvfold/decoder";
import { beginWith, readTextTokenizer, type TextTokenizer } from "@kvfold/runtime";
import type { ModelFiles } from "./model-files.js";

/** The tokenizer of a model, and what the model's configs say about its tokens. */
export interface ModelTokenizer extends TextTokenizer {
  /** The token that begins every document, if the model knows one. */
  readonly bosToken: number | undefined;
  /** Tokens that end a text. */
  readonly stopTokens: readonly number[];
  readonly vocabSize: number;
}

/**
 * Reads the tokenizer of a model's folder.
 *
 * @throws {RuntimeError} `malformed-tokenizer` when there is none, or it is broken; `DecoderError` `malformed-checkpoint` when
 * a config is not JSON.
 */
export async function readTokenizer(files: ModelFiles): Promise<ModelTokenizer> {
  const [definition, settings] = await Promise.all(
    ["tokenizer.json", "tokenizer_config.json"].map(async (path) => files.get(path)?.text()),
  );
  const [config = {}, generation = {}] = await Promise.all(
    ["config.json", "generation_config.json"].map((path) => readJson(files, path)),
  );
  const tokenizer = readTextTokenizer(Tokenizer, { model: "this model", definition, settings });
  const [configBos] = numbersIn(config.bos_token_id);
  const [vocabSize = Number.POSITIVE_INFINITY] = numbersIn(config.vocab_size);
  return {
    ...tokenizer,
    bosToken: tokenizer.addedBos ?? configBos,
    stopTokens: numbersIn([generation.eos_token_id, config.eos_token_id]),
    vocabSize,
  };
}

/** The numbers of fields that hold one, a list of them, or nothing. */
const numbersIn = (fields: unknown): readonly number[] =>
  [fields].flat(2).filter((field): field is number => typeof field === "number");

/** The tokens of a prompt, with one BOS where the model knows one. */
export function promptTokens(tokenizer: ModelTokenizer, prompt: string): readonly number[] {
  const tokens = beginWith(tokenizer.bosToken, tokenizer.encode(prompt));
  checkTokens(tokens, { ...tokenizer, source: "the prompt" });
  return tokens;
}

/** The tokens of what a chat template wrote, and none besides. */
export function chatTokens(tokenizer: ModelTokenizer, text: string): readonly number[] {
  const tokens = tokenizer.encode(text);
  checkTokens(tokens, { ...tokenizer, source: "the conversation" });
  return tokens;
}

/** The first `limit` tokens of a document. */
export function documentTokens(tokenizer: ModelTokenizer, text: string, limit: number): Int32Array {
  const tokens: number[] = [];
  for (const piece of tokenizeDocument(text, tokenizer, tokenizer.bosToken)) {
    checkTokens(piece, { ...tokenizer, source: "the text" });
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
