import { type AddedToken, refuseTokenizer, type TokenizerFile } from "./tokenizer-file.js";

/** Kinds of tokens in GGUF. */
export const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** A token of a vocabulary, at the index that is its id. */
export interface ListedToken {
  readonly text: string;
  readonly type: number;
}

/**
 * All tokens of a model by id: those of the tokenizer, and `[PAD…]` where the embedding has rows that the tokenizer does not
 * know. Tokens beyond the embedding are left out, since the model cannot read them.
 *
 * @param typeOf - Kind of a token that was not added to the vocabulary.
 * @throws {DecoderError} `unsupported-model` when two tokens have one text.
 */
export function listTokens(
  { model, added_tokens }: TokenizerFile,
  vocabSize: number,
  typeOf: (text: string) => number,
): readonly ListedToken[] {
  const tokens = Array.from({ length: vocabSize }, (_, id) => ({
    text: `[PAD${id}]`,
    type: tokenTypes.unused as number,
  }));
  const place = (id: number, token: ListedToken) => {
    if (id >= 0 && id < vocabSize) tokens[id] = token;
  };
  for (const [text, id] of Object.entries(model.vocab)) place(id, { text, type: typeOf(text) });
  for (const added of added_tokens ?? [])
    place(added.id, { text: added.content, type: addedType(added, typeOf) });
  requireDistinct(tokens);
  return tokens;
}

function addedType({ content, special = false }: AddedToken, typeOf: (text: string) => number): number {
  const type = typeOf(content);
  if (type !== tokenTypes.normal) return type;
  return special ? tokenTypes.control : tokenTypes.userDefined;
}

/** llama.cpp ends the process when it loads a vocabulary with two tokens of one text. */
function requireDistinct(tokens: readonly ListedToken[]): void {
  const seen = new Map<string, number>();
  for (const [id, { text }] of tokens.entries()) {
    const first = seen.get(text);
    if (first !== undefined) throw refuseTokenizer(`tokens ${first} and ${id} have the same text`);
    seen.set(text, id);
  }
}
