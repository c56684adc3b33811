/**
 * The tokens of a document, a paragraph at a time: first the token that begins documents, unless the text spells it out,
 * then each paragraph followed by two newlines. Tokenising by paragraphs keeps the cost linear, whatever the tokenizer's
 * algorithm.
 *
 * @param encode - The tokenizer's, without special tokens.
 *
 * @example
 * ```ts
 * import { tokenizeDocument } from "@kvfold/calibration";
 *
 * const encode = (text: string) => [text.length];
 * [...tokenizeDocument("one\n\n\n three", { encode }, 0)] // => [[0], [5], [7]]
 * ```
 */
export function* tokenizeDocument(
  text: string,
  { encode }: { readonly encode: (text: string) => readonly number[] },
  bosToken: number | undefined,
): Generator<readonly number[]> {
  for (const [index, paragraph] of paragraphsOf(text).entries()) {
    const tokens = encode(`${paragraph}\n\n`);
    if (index === 0 && bosToken !== undefined && tokens[0] !== bosToken) yield [bosToken];
    yield tokens;
  }
}

const paragraphsOf = (text: string): readonly string[] =>
  text
    .replaceAll("\r\n", "\n")
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.trim())
    .filter((paragraph) => paragraph !== "");
