import { checkTokens } from "@kvfold/calibration";
import { beginWith, nextTurn, type TextTokenizer } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import { loadChatTemplate, withRemedy } from "./chat-template.js";
import { documentBos, type Vocabulary } from "./vocabulary.js";

export declare namespace readPrompt {
  interface Options {
    /** The beginning of a text, or with `chat` the user's turn. */
    readonly prompt: string;
    /** Puts the prompt into the model's chat template. */
    readonly chat?: { readonly system?: string | undefined } | undefined;
    /** Where the prompt comes from, for messages; `--prompt` unless given. */
    readonly source?: string | undefined;
  }
}

/**
 * The tokens of a prompt. A text begins with one BOS where documents do; a conversation is what the model's chat
 * template writes, and no token more.
 *
 * @param folder - Where the tokenizer and the chat template are.
 * @throws {CliError} `insufficient-text` for a prompt without a token; and as `loadChatTemplate`.
 * @throws {CalibrationError} `malformed-tokens` for a token that the model does not have.
 */
export async function readPrompt(
  folder: string,
  vocabulary: Vocabulary,
  { prompt, chat, source = "--prompt" }: readPrompt.Options,
): Promise<readonly number[]> {
  const tokenizer = await vocabulary.loadTokenizer();
  const tokens =
    chat === undefined
      ? beginWith(documentBos(tokenizer, vocabulary), tokenizer.encode(prompt))
      : await readConversation(folder, tokenizer, { prompt, ...chat });
  if (tokens.length === 0)
    throw new CliError("insufficient-text", `${source} is empty; give the model a beginning`);
  checkTokens(tokens, { vocabSize: vocabulary.vocabSize, source, nameOf: tokenizer.nameOf });
  return tokens;
}

/**
 * The tokens that a prompt adds to a conversation that the model has read: of a text its own, of a chat all that the
 * template writes after the last answer, the end of that answer included. There may be none. Throws as `readPrompt`.
 */
export async function readContinuation(
  folder: string,
  vocabulary: Vocabulary,
  { prompt, chat }: readPrompt.Options,
): Promise<readonly number[]> {
  const { encode, nameOf } = await vocabulary.loadTokenizer();
  const tokens = encode(chat === undefined ? prompt : await continuedTurn(folder, prompt));
  checkTokens(tokens, { vocabSize: vocabulary.vocabSize, source: "--prompt", nameOf });
  return tokens;
}

async function continuedTurn(folder: string, prompt: string): Promise<string> {
  const template = await loadChatTemplate(folder);
  return withRemedy([], () => nextTurn(template, prompt));
}

interface Conversation {
  readonly prompt: string;
  readonly system?: string | undefined;
}

async function readConversation(
  folder: string,
  { encode }: TextTokenizer,
  { prompt, system }: Conversation,
): Promise<readonly number[]> {
  const render = await loadChatTemplate(folder);
  const user = { role: "user", content: prompt } as const;
  return encode(render(system === undefined ? [user] : [{ role: "system", content: system }, user]));
}
