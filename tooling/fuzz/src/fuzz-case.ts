/** What lies in a folder under one name: text, bytes, a link to an untouched file, or a folder. */
export type FuzzFile = string | Uint8Array | { readonly link: string } | typeof EMPTY_FOLDER;

export const EMPTY_FOLDER = Symbol("an empty folder");

/** A folder of files, some of them broken, and what the product is to try with it. */
export interface FuzzCase {
  readonly attempt: "checkpoint" | "tokens" | "tokenizer";
  readonly files: ReadonlyMap<string, FuzzFile>;
  /** What was changed, for people. */
  readonly mutation: string;
}
