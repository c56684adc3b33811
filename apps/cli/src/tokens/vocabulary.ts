import { readTokenizer } from "@kvfold/converter/node";
import type { TextTokenizer } from "@kvfold/runtime";

/** What of a model turns files into tokens. */
export interface Vocabulary {
  readonly vocabSize: number;
  /** `bos_token_id` of `config.json`. */
  readonly bosToken: number | undefined;
  /** Called only when there is text; the tokenizer is read once. */
  readonly loadTokenizer: () => Promise<TextTokenizer>;
}

export declare namespace folderVocabulary {
  interface Options {
    /** Infinity where nothing tells it. */
    readonly vocabSize?: number | undefined;
    readonly bosToken: number | undefined;
  }
}

/** The vocabulary of a model whose tokenizer lies in a folder. */
export function folderVocabulary(
  folder: string,
  { vocabSize = Number.POSITIVE_INFINITY, bosToken }: folderVocabulary.Options,
): Vocabulary {
  let tokenizer: Promise<TextTokenizer> | undefined;
  return { vocabSize, bosToken, loadTokenizer: () => (tokenizer ??= readTokenizer(folder)) };
}

/** The token that begins a document: what the tokenizer puts there itself, or else what `config.json` names. */
export const documentBos = ({ addedBos }: TextTokenizer, { bosToken }: Vocabulary): number | undefined =>
  addedBos ?? bosToken;
