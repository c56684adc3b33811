import type { TextTokenizer } from "./text-tokenizer.js";

/**
 * The tokens of a document, a paragraph at a time: first the token that begins documents, then each paragraph with
 * two newlines behind it. Tokenising by paragraphs keeps the cost linear, whatever the tokenizer's algorithm.
 */
export function* tokenizeDocument(
  text: string,
  { encode }: TextTokenizer,
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
