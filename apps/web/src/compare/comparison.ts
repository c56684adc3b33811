import type { ChatTemplate } from "@kvfold/runtime";
import type { WebModel } from "@kvfold/runtime-web";
import { signal } from "@preact/signals";
import type { PreparedModel } from "../fold/fold-state.js";
import { chatTokens, type ModelTokenizer, promptTokens, readTokenizer } from "../models/text-tokenizer.js";
import { messageOf } from "../ui/format.js";
import { askNext, type Conversation, haveSameQuestions, NOTHING_SAID } from "./asked-questions.js";
import { wantedPolicy } from "./cache-policies.js";
import { type ContinuationOptions, continueText, emptyContinuation } from "./continuation.js";
import { keepConversation, restoreConversation } from "./conversations.js";
import { loadedModel, occupyModels } from "./loaded-models.js";

const MAX_NEW_TOKENS = 96;
const MAX_ANSWER_TOKENS = 256;

/** What the two columns show. */
export const comparison = {
  original: emptyContinuation(),
  folded: emptyContinuation(),
  originalBytes: signal<number | undefined>(undefined),
  foldedBytes: signal<number | undefined>(undefined),
  busy: signal(false),
  status: signal(""),
};

let stop = new AbortController();

export const stopBoth = (): void => stop.abort();

export interface ComparisonRequest {
  readonly original: PreparedModel;
  readonly folded: PreparedModel;
  readonly prompt: string;
}

/** Lets both models go on with a prompt, one after the other. */
export const continueBoth = (request: ComparisonRequest): Promise<void> =>
  occupied(async (models, tokenizer) => {
    const prompt = promptTokens(tokenizer, request.prompt);
    for (const one of models) await continueAndKeep(one, tokenizer, { prompt });
  }, request);

/**
 * Lets both models go on where their texts ended, also those of an earlier page, without reading them again. A model that has
 * no text goes on with the prompt.
 */
export const goOnBoth = (request: ComparisonRequest): Promise<void> =>
  occupied(async (models, tokenizer) => {
    for (const one of models) {
      const { prepared, model } = one;
      const known =
        conversations.get(prepared)?.tokens ?? (await restoreConversation(model, nameOf(prepared)));
      const beginning =
        known.length > 0
          ? { prompt: known, before: { text: textOf(tokenizer, known), tokens: known.length } }
          : { prompt: promptTokens(tokenizer, request.prompt) };
      await continueAndKeep(one, tokenizer, beginning);
    }
  }, request);

export interface ChatRequest extends ComparisonRequest {
  readonly chat: ChatTemplate;
}

/** Lets both models answer, one after the other. Both go on in their conversations where these have the same questions. */
export const answerBoth = ({ chat, ...request }: ChatRequest): Promise<void> =>
  occupied(async (models, tokenizer) => {
    const prepared = models.map((one) => one.prepared);
    if (!haveSameQuestions(prepared.map(conversationOf))) forgetConversations(prepared);
    for (const one of models) {
      const known = conversationOf(one.prepared);
      const { text, turns } = askNext(known, chat, request.prompt);
      const prompt = [...known.tokens, ...chatTokens(tokenizer, text)];
      const before = { turns, tokens: known.tokens.length };
      await continueAndKeep(one, tokenizer, { prompt, before, maxNewTokens: MAX_ANSWER_TOKENS });
    }
  }, request);

/** Begins anew with the next question. */
export function forgetConversations(prepared: readonly PreparedModel[]): void {
  for (const one of prepared) conversations.delete(one);
  for (const column of [comparison.original, comparison.folded]) column.value = emptyContinuation().value;
}

/** The texts of this page. */
const conversations = new WeakMap<PreparedModel, Conversation>();

const conversationOf = (prepared: PreparedModel): Conversation => conversations.get(prepared) ?? NOTHING_SAID;

interface ModelAtWork {
  readonly prepared: PreparedModel;
  readonly model: WebModel;
  readonly into: ReturnType<typeof emptyContinuation>;
}

async function occupied(
  work: (models: readonly ModelAtWork[], tokenizer: ModelTokenizer) => Promise<void>,
  { original, folded }: ComparisonRequest,
): Promise<void> {
  stop = new AbortController();
  comparison.busy.value = true;
  comparison.status.value = "loading both models";
  try {
    await occupyModels(async () => {
      const tokenizer = await readTokenizer(original.result.files);
      const [first, second] = [await loadedModel(original), await loadedModel(folded, wantedPolicy.value)];
      comparison.originalBytes.value = first.cacheBytesPerToken;
      comparison.foldedBytes.value = second.cacheBytesPerToken;
      comparison.status.value = first.reason;
      const models = [
        { prepared: original, model: first, into: comparison.original },
        { prepared: folded, model: second, into: comparison.folded },
      ];
      await work(models, tokenizer);
    });
  } catch (error) {
    comparison.status.value = messageOf(error);
  } finally {
    comparison.busy.value = false;
  }
}

interface Beginning extends Pick<ContinuationOptions, "before"> {
  readonly prompt: readonly number[];
  readonly maxNewTokens?: number;
}

/** Lets a model go on, and keeps what it has read and written. */
async function continueAndKeep(
  { prepared, model, into }: ModelAtWork,
  tokenizer: ModelTokenizer,
  { prompt, before, maxNewTokens = MAX_NEW_TOKENS }: Beginning,
): Promise<void> {
  const { stopTokens } = tokenizer;
  const options = { maxNewTokens, stopTokens, stop: stop.signal, before };
  const drawn = await continueText(into, model, tokenizer, prompt, options);
  // What failed, in a context that is full for one, is not part of the conversation.
  if (into.value.problem !== undefined) return;
  const answer = { role: "assistant", content: into.value.text } as const;
  const turns = before?.turns === undefined ? [] : [...before.turns, answer];
  conversations.set(prepared, { tokens: [...prompt, ...drawn], turns });
  await keepConversation(model, nameOf(prepared));
}

const nameOf = ({ folder, label }: PreparedModel): string => `${folder.name}, ${label}`;

/** Without the token that begins documents, which has no text. */
const textOf = ({ bosToken, decode }: ModelTokenizer, tokens: readonly number[]): string =>
  decode(tokens[0] === bosToken ? tokens.slice(1) : tokens);
