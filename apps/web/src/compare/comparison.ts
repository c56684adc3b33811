import type { WebModel } from "@kvfold/runtime-web";
import { signal } from "@preact/signals";
import type { PreparedModel } from "../fold/fold-state.js";
import { type ModelTokenizer, promptTokens, readTokenizer } from "../models/text-tokenizer.js";
import { messageOf } from "../ui/format.js";
import { continueText, emptyContinuation } from "./continuation.js";
import { keepConversation, restoreConversation } from "./conversations.js";
import { loadedModel, occupyModels } from "./loaded-models.js";

const MAX_NEW_TOKENS = 96;

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
    for (const { prepared, model, into } of models) {
      const drawn = await continueText(into, model, tokenizer, prompt, optionsOf(tokenizer));
      await keep(prepared, model, [...prompt, ...drawn]);
    }
  }, request);

/**
 * Lets both models go on where their texts ended, also those of an earlier page, without reading them again. A model that has
 * no text goes on with the prompt.
 */
export const goOnBoth = (request: ComparisonRequest): Promise<void> =>
  occupied(async (models, tokenizer) => {
    for (const { prepared, model, into } of models) {
      const known = conversations.get(prepared) ?? (await restoreConversation(model, nameOf(prepared)));
      const prompt = known.length > 0 ? known : promptTokens(tokenizer, request.prompt);
      const before = { text: known.length > 0 ? textOf(tokenizer, known) : "", tokens: known.length };
      const drawn = await continueText(into, model, tokenizer, prompt, { ...optionsOf(tokenizer), before });
      await keep(prepared, model, [...prompt, ...drawn]);
    }
  }, request);

/** The texts of this page: prompt and all that was drawn. */
const conversations = new WeakMap<PreparedModel, readonly number[]>();

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
      const [first, second] = [await loadedModel(original), await loadedModel(folded)];
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

const optionsOf = ({ stopTokens }: ModelTokenizer) => ({
  maxNewTokens: MAX_NEW_TOKENS,
  stopTokens,
  stop: stop.signal,
});

async function keep(prepared: PreparedModel, model: WebModel, tokens: readonly number[]): Promise<void> {
  conversations.set(prepared, tokens);
  await keepConversation(model, nameOf(prepared));
}

const nameOf = ({ folder, label }: PreparedModel): string => `${folder.name}, ${label}`;

/** Without the token that begins documents, which has no text. */
const textOf = ({ bosToken, decode }: ModelTokenizer, tokens: readonly number[]): string =>
  decode(tokens[0] === bosToken ? tokens.slice(1) : tokens);
