/**
 * The tokens of a document, a paragraph at a time: first the token that begins documents, then each paragraph with
 * two newlines behind it. Tokenising by paragraphs keeps the cost linear, whatever the tokenizer's algorithm.
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
  if (bosToken !== undefined) yield [bosToken];
  for (const paragraph of paragraphsOf(text)) yield encode(`${paragraph}\n\n`);
}

const paragraphsOf = (text: string): readonly string[] =>
  text
    .replaceAll("\r\n", "\n")
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.trim())
    .filter((paragraph) => paragraph !== "");
