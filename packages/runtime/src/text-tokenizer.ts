/** A tokenizer such as `Tokenizer` of `@huggingface/tokenizers`. */
export interface Tokenizer {
  encode(
    text: string,
    options: { readonly add_special_tokens: boolean },
  ): { readonly ids: readonly number[] };
  decode(
    ids: number[],
    options: { readonly skip_special_tokens: boolean; readonly clean_up_tokenization_spaces: boolean },
  ): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
}

/** Text to token ids and back. */
export interface TextTokenizer {
  /** Ids of a text as it stands: special tokens that it spells out are read as such, and none are added. */
  readonly encode: (text: string) => readonly number[];
  /** Text of ids, without special tokens. */
  readonly decode: (tokens: readonly number[]) => string;
  /** A token as the tokenizer writes it, such as `<s>`; `undefined` for ids that it does not know. */
  readonly nameOf: (token: number) => string | undefined;
  /**
   * The token that begins every text by the tokenizer's own settings, as in transformers; `undefined` where it adds none.
   * Models whose tokenizers add one were trained on texts that begin with it, and attend to it.
   */
  readonly addedBos: number | undefined;
}

export declare namespace textTokenizer {
  /** What `tokenizer_config.json` says about the first token. */
  interface Settings {
    readonly add_bos_token?: unknown;
    /** A string, or an object with a field `content`. */
    readonly bos_token?: unknown;
  }
}

/**
 * Text to token ids and back, with a tokenizer and its `tokenizer_config.json`.
 *
 * @example
 * ```js
 * import { Tokenizer } from "@huggingface/tokenizers";
 *
 * const { encode, decode } = textTokenizer(new Tokenizer(tokenizerJson, tokenizerConfig), tokenizerConfig);
 * ```
 */
export const textTokenizer = (tokenizer: Tokenizer, settings: textTokenizer.Settings): TextTokenizer => ({
  encode: (text) => tokenizer.encode(text, { add_special_tokens: false }).ids,
  decode: (tokens) =>
    tokenizer.decode([...tokens], { skip_special_tokens: true, clean_up_tokenization_spaces: false }),
  nameOf: (token) => tokenizer.id_to_token(token),
  addedBos: findAddedBos(tokenizer, settings),
});

/**
 * Puts a token before others that do not begin with it already, as those of a text that spells it out do.
 *
 * @example
 * ```ts
 * import { beginWith } from "@kvfold/runtime";
 *
 * beginWith(1, [30, 5]); // => [1, 30, 5]
 * beginWith(1, [1, 30, 5]); // => [1, 30, 5]
 * beginWith(undefined, [30, 5]); // => [30, 5]
 * ```
 */
export const beginWith = (token: number | undefined, tokens: readonly number[]): readonly number[] =>
  token === undefined || tokens[0] === token ? tokens : [token, ...tokens];

/** The setting `add_bos_token` rules; without it the tokenizer is asked, whose post-processor may add tokens. */
function findAddedBos(tokenizer: Tokenizer, { add_bos_token, bos_token }: textTokenizer.Settings) {
  if (add_bos_token === false) return undefined;
  const [plain, whole] = [false, true].map(
    (add_special_tokens) => tokenizer.encode("a", { add_special_tokens }).ids,
  );
  if (whole![0] !== plain![0]) return whole![0];
  return add_bos_token === true ? tokenizer.token_to_id(contentOf(bos_token)) : undefined;
}

/** The text of a special token in `tokenizer_config.json`. */
function contentOf(token: unknown): string {
  const content: unknown =
    typeof token === "object" ? (token as { readonly content?: unknown } | null)?.content : token;
  return typeof content === "string" ? content : "";
}
