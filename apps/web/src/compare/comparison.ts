import { signal } from "@preact/signals";
import type { PreparedModel } from "../fold/fold-state.js";
import { promptTokens, readTokenizer } from "../models/text-tokenizer.js";
import { messageOf } from "../ui/format.js";
import { continueText, emptyContinuation } from "./continuation.js";
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
export async function continueBoth(request: ComparisonRequest): Promise<void> {
  stop = new AbortController();
  comparison.busy.value = true;
  comparison.status.value = "loading both models";
  try {
    await occupyModels(() => continueInTurn(request));
  } catch (error) {
    comparison.status.value = messageOf(error);
  } finally {
    comparison.busy.value = false;
  }
}

async function continueInTurn({ original, folded, prompt }: ComparisonRequest): Promise<void> {
  const tokenizer = await readTokenizer(original.result.files);
  const ids = promptTokens(tokenizer, prompt);
  const [first, second] = [await loadedModel(original), await loadedModel(folded)];
  comparison.originalBytes.value = first.cacheBytesPerToken;
  comparison.foldedBytes.value = second.cacheBytesPerToken;
  comparison.status.value = first.reason;
  const { stopTokens } = tokenizer;
  const options = { maxNewTokens: MAX_NEW_TOKENS, stopTokens, stop: stop.signal };
  await continueText(comparison.original, first, tokenizer, ids, options);
  await continueText(comparison.folded, second, tokenizer, ids, options);
}
