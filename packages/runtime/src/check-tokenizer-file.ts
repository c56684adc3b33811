import { RuntimeError } from "./runtime-error.js";

/**
 * Makes sure that texts are texts in the lists of a parsed `tokenizer.json`. Tokenizers go through these letter by letter,
 * so that an object which claims a `length` of a billion takes all memory, and the process with it.
 *
 * @throws {RuntimeError} `invalid-argument` naming the entry.
 */
export function checkTokenizerFile(definition: unknown): void {
  const { added_tokens: added, model } = fieldsOf(definition);
  const { vocab, merges } = fieldsOf(model);
  checkEach("added_tokens", added, (token) => typeof fieldsOf(token).content === "string");
  // A list in Unigram models, an object in others.
  if (Array.isArray(vocab)) checkEach("model.vocab", vocab, (entry) => isText(entryOf(entry)[0]));
  checkEach(
    "model.merges",
    merges,
    (merge) => isText(merge) || (Array.isArray(merge) && merge.every(isText)),
  );
}

function checkEach(name: string, list: unknown, isSound: (entry: unknown) => boolean): void {
  if (list === undefined || list === null) return;
  if (!Array.isArray(list)) throw malformed(name, "a list");
  const broken = list.findIndex((entry) => !isSound(entry));
  if (broken !== -1) throw malformed(`${name}[${broken}]`, "made of texts");
}

const isText = (value: unknown): boolean => typeof value === "string";

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};

const entryOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const malformed = (name: string, expected: string): RuntimeError =>
  new RuntimeError("invalid-argument", `tokenizer.json: expected ${name} to be ${expected}`);
