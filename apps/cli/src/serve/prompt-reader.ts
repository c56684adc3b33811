import { checkTokens } from "@kvfold/calibration";
import { beginWith, type ChatMessage, type ChatTemplate, type TextTokenizer } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import { loadChatTemplate } from "../tokens/chat-template.js";
import { documentBos, type Vocabulary } from "../tokens/vocabulary.js";
import { HttpError } from "./http-error.js";

/** Turns requests into tokens that the model can read. */
export interface PromptReader {
  readonly chat: (messages: readonly ChatMessage[]) => readonly number[];
  readonly text: (prompt: string | readonly number[]) => readonly number[];
}

/** Texts of more characters a token than this are longer than any context: they are not even tokenised. */
const MOST_CHARACTERS = 64;

/**
 * Reads what it takes of the model's folder once. A model without a chat template serves texts alone.
 *
 * The functions throw `HttpError` 400 for a prompt that is empty, too long, or refused by the chat template.
 */
export async function createPromptReader(
  folder: string,
  vocabulary: Vocabulary,
  maxPositions: number,
): Promise<PromptReader> {
  const tokenizer = await vocabulary.loadTokenizer();
  const template = await loadChatTemplate(folder).catch((error: unknown) => {
    if (CliError.isInstance(error) && error.code === "unsupported-model") return undefined;
    throw error;
  });
  const accept = (tokens: readonly number[]) => accepted(tokens, tokenizer, vocabulary, maxPositions);
  const encode = (text: string) => {
    if (text.length > MOST_CHARACTERS * maxPositions) throw tooLong(maxPositions);
    return tokenizer.encode(text);
  };
  const bos = documentBos(tokenizer, vocabulary);
  return {
    chat: (messages) => accept(encode(render(template, messages))),
    text: (prompt) => accept(typeof prompt === "string" ? beginWith(bos, encode(prompt)) : prompt),
  };
}

function render(template: ChatTemplate | undefined, messages: readonly ChatMessage[]): string {
  if (template === undefined)
    throw new HttpError(400, "this model has no chat template; use /v1/completions", { param: "messages" });
  try {
    return template(messages);
  } catch (error) {
    if (!CliError.isInstance(error)) throw error;
    throw new HttpError(400, "the chat template of this model refuses this conversation", {
      param: "messages",
    });
  }
}

const tooLong = (maxPositions: number): HttpError =>
  new HttpError(400, `the prompt is longer than the model's context of ${maxPositions} tokens`);

function accepted(
  tokens: readonly number[],
  { nameOf }: TextTokenizer,
  { vocabSize }: Vocabulary,
  maxPositions: number,
): readonly number[] {
  if (tokens.length === 0) throw new HttpError(400, "the prompt is empty; give the model a beginning");
  if (tokens.length > maxPositions) throw tooLong(maxPositions);
  try {
    checkTokens(tokens, { vocabSize, source: "the prompt", nameOf });
  } catch (error) {
    throw new HttpError(400, (error as Error).message, { param: "prompt" });
  }
  return tokens;
}
