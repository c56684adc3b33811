import type { WebModel } from "@kvfold/runtime-web";
import { signal } from "@preact/signals";
import type { PreparedModel } from "../fold/fold-state.js";
import { type ModelTokenizer, promptTokens, readTokenizer } from "../models/text-tokenizer.js";
import { messageOf } from "../ui/format.js";
import { type ContinuationOptions, continueText, emptyContinuation } from "./continuation.js";
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
      const known = conversations.get(prepared) ?? (await restoreConversation(model, nameOf(prepared)));
      const beginning =
        known.length > 0
          ? { prompt: known, before: { text: textOf(tokenizer, known), tokens: known.length } }
          : { prompt: promptTokens(tokenizer, request.prompt) };
      await continueAndKeep(one, tokenizer, beginning);
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

interface Beginning extends Pick<ContinuationOptions, "before"> {
  readonly prompt: readonly number[];
}

/** Lets a model go on, and keeps what it has read and written. */
async function continueAndKeep(
  { prepared, model, into }: ModelAtWork,
  tokenizer: ModelTokenizer,
  { prompt, before }: Beginning,
): Promise<void> {
  const { stopTokens } = tokenizer;
  const options = { maxNewTokens: MAX_NEW_TOKENS, stopTokens, stop: stop.signal, before };
  const drawn = await continueText(into, model, tokenizer, prompt, options);
  conversations.set(prepared, [...prompt, ...drawn]);
  await keepConversation(model, nameOf(prepared));
}

const nameOf = ({ folder, label }: PreparedModel): string => `${folder.name}, ${label}`;

/** Without the token that begins documents, which has no text. */
const textOf = ({ bosToken, decode }: ModelTokenizer, tokens: readonly number[]): string =>
  decode(tokens[0] === bosToken ? tokens.slice(1) : tokens);
