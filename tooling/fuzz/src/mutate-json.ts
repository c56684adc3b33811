import type { Choices } from "./choices.js";
import { HOSTILE_VALUES } from "./hostile-values.js";

/** Names and indices that lead to a value. */
export type JsonPath = readonly (string | number)[];

/** What takes the place of a value: JSON text, or nothing. */
export type Replacement = string | undefined;

/** Paths of all values inside, down to `depth` levels. */
export function jsonPaths(value: unknown, depth: number): readonly JsonPath[] {
  if (typeof value !== "object" || value === null || depth === 0) return [];
  const isList = Array.isArray(value);
  return Object.entries(value).flatMap(([key, inner]) => {
    const step = isList ? Number(key) : key;
    return [[step], ...jsonPaths(inner, depth - 1).map((path) => [step, ...path])];
  });
}

/** JSON text of `value` with replacements at paths; a path that leads nowhere changes nothing. */
export function replaceInJson(
  value: unknown,
  replacements: readonly (readonly [JsonPath, Replacement])[],
): string {
  const copy: unknown = structuredClone(value);
  const texts: string[] = [];
  for (const [path, replacement] of replacements) place(copy, path, replacement, texts);
  return JSON.stringify(copy).replace(/"@replaced (\d+)@"/g, (_, index: string) => texts[Number(index)]!);
}

/** Puts a mark where a text belongs: not every text can be a value first. */
function place(value: unknown, path: JsonPath, replacement: Replacement, texts: string[]): void {
  let holder = value as Record<string | number, unknown>;
  for (const step of path.slice(0, -1)) {
    const inner = holder[step];
    if (typeof inner !== "object" || inner === null) return;
    holder = inner as Record<string | number, unknown>;
  }
  const last = path.at(-1)!;
  if (replacement !== undefined) {
    const mark = `@replaced ${texts.push(replacement) - 1}@`;
    Object.defineProperty(holder, last, {
      value: mark,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  } else if (Array.isArray(holder)) holder.splice(Number(last), 1);
  else delete holder[last];
}

/** A hostile value, or nothing. */
export const pickReplacement = (choices: Choices): Replacement =>
  choices.chance(0.08) ? undefined : choices.pick(HOSTILE_VALUES);

/** Changes the text of a JSON file without regard to its structure. */
export function mutateText(
  text: string,
  choices: Choices,
): { readonly text: string; readonly mutation: string } {
  const [mutation, change] = choices.pick(textMutations);
  return { text: change(text, choices), mutation };
}

const textMutations: readonly (readonly [string, (text: string, choices: Choices) => string])[] = [
  ["truncated", (text, { int }) => text.slice(0, int(text.length))],
  ["empty", () => ""],
  ["a byte-order mark", (text) => `\ufeff${text}`],
  ["two documents", (text) => text + text],
  ["a repeated name", (text, { pick }) => text.replace("{", `{${pick(memberTexts)},`)],
  ["a name at the end", (text, { pick }) => text.replace(/\}\s*$/, `,${pick(memberTexts)}}`)],
  ["a character removed", (text, { int }) => splice(text, int(text.length), 1, "")],
  ["a piece removed", (text, { int }) => splice(text, int(text.length), 1 + int(40), "")],
  ["a piece repeated", repeatPiece],
  ["a character inserted", (text, { int, pick }) => splice(text, int(text.length), 0, pick(CHARACTERS))],
  ["a character replaced", (text, { int, pick }) => splice(text, int(text.length), 1, pick(CHARACTERS))],
  ["a number replaced", replaceNumber],
  ["wrapped in lists", (text, { int }) => "[".repeat(1 + int(50_000)) + text],
  ["a page of HTML", () => "<!DOCTYPE html><html><body>404: Not Found</body></html>"],
  [
    "a Git LFS pointer",
    () => `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 12\n`,
  ],
  ["only a value", (_, { pick }) => pick(HOSTILE_VALUES)],
];

const memberTexts: readonly string[] = [
  '"__proto__":{"hidden_size":64}',
  '"hidden_size":63',
  '"constructor":{"prototype":{}}',
  '"hasOwnProperty":1',
  '"":0',
  '"model_type":"bloom"',
  '"weight_map":{}',
  '"__metadata__":{"a":"b"}',
  '"__metadata__":{"a":1}',
];

const CHARACTERS = [
  ...Array.from('{}[]",:\\0123456789-+.eE \n\tnulltruefalse\u0000\u0007\u001b\u0080\u2028\ud800'),
  "\\u",
  "\\ud83d",
];

const splice = (text: string, at: number, removed: number, inserted: string): string =>
  text.slice(0, at) + inserted + text.slice(at + removed);

function repeatPiece(text: string, { int }: Choices): string {
  const start = int(text.length);
  const piece = text.slice(start, start + 1 + int(200));
  return splice(text, start, 0, piece.repeat(1 + int(20)));
}

function replaceNumber(text: string, { int, pick }: Choices): string {
  const numbers = [...text.matchAll(/-?\d+(\.\d+)?([eE][-+]?\d+)?/g)];
  if (numbers.length === 0) return text;
  const { index, 0: number } = numbers[int(numbers.length)]!;
  return splice(text, index, number.length, pick(HOSTILE_VALUES));
}
