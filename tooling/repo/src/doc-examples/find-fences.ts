/** Example code as it stands in a document. */
export interface Fence {
  /** Of the document, relative to the root. */
  readonly file: string;
  /** Of the first line of code in the document, counted from 1. */
  readonly line: number;
  readonly code: string;
}

/** Between its fences, with or without the ` * ` of a doc comment before each. */
const fencePattern = /^[ \t]*(?:\* )?```ts\b(?<flags>.*)\n(?<code>(?:.*\n)*?)[ \t]*(?:\* )?```[ \t]*$/gm;

/**
 * The fences of a document that open with ` ```ts ` and are not marked `no-run`.
 *
 * @param file Markdown, or TypeScript (`.ts`) with Markdown in its doc comments
 */
export const findFences = (file: string, text: string): Fence[] =>
  [...text.matchAll(fencePattern)]
    .map(({ index, groups: { flags = "", code = "" } = {} }) => ({
      flags,
      fence: {
        file,
        line: text.slice(0, text.indexOf("```", index)).split("\n").length + 1,
        code: file.endsWith(".ts") ? code.replace(/^[ \t]*\* ?/gm, "") : code,
      },
    }))
    .filter(({ flags }) => !flags.includes("no-run"))
    .map(({ fence }) => fence);
