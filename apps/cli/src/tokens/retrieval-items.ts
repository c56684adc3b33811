import { open, stat } from "node:fs/promises";
import { CliError } from "../cli-error.js";

/** A prompt whose right answer is known, as a line of a retrieval file holds it. */
export interface RetrievalLine {
  /** Line of the file, from 1. */
  readonly line: number;
  /** What is asked for, such as `passkey`. */
  readonly task: string;
  /** Tokens that the prompt was made for; items are reported by it. */
  readonly length: number;
  /** Token ids of the prompt. */
  readonly prompt: readonly number[];
  /** Token ids of the right answer. */
  readonly answer: readonly number[];
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads a JSON Lines file of `{ task, length, ids, answer_ids }`; other fields and empty lines are passed over.
 *
 * @throws {CliError} `unreadable-file` when there is no such file; `malformed-file`, with the line's number, for a line
 *   that is not such an object, and for a file without any.
 */
export async function readRetrievalItems(path: string): Promise<readonly RetrievalLine[]> {
  await checkIsFile(path);
  const items: RetrievalLine[] = [];
  let line = 0;
  for await (const text of linesOf(path)) {
    line++;
    if (text.trim() !== "") items.push(parseLine(text, line, `${path}, line ${line}`));
  }
  if (items.length > 0) return items;
  throw new CliError(
    "malformed-file",
    `${path} holds no items; expected a line { "task", "length", "ids", "answer_ids" } for each prompt`,
  );
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const file = await open(path);
  try {
    yield* file.readLines();
  } finally {
    await file.close();
  }
}

async function checkIsFile(path: string): Promise<void> {
  const info = await stat(path).catch((cause: unknown) => {
    throw new CliError("unreadable-file", `${path}: no such file`, { cause });
  });
  if (!info.isFile()) throw new CliError("unreadable-file", `${path} is a folder; name a .jsonl file`);
}

function parseLine(text: string, line: number, place: string): RetrievalLine {
  const { task, length, ids, answer_ids } = parseObject(text, place);
  if (typeof task !== "string") throw malformed(place, "task, a name", task);
  if (!isCount(length)) throw malformed(place, "length, a count of tokens", length);
  return {
    line,
    task,
    length,
    prompt: tokenIds(ids, "ids", place),
    answer: tokenIds(answer_ids, "answer_ids", place),
  };
}

function parseObject(text: string, place: string): Fields {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  } catch (cause) {
    throw new CliError("malformed-file", `${place} is not JSON (${(cause as Error).message})`, { cause });
  }
  throw new CliError("malformed-file", `${place}: expected a JSON object, found ${excerpt(text)}`);
}

function tokenIds(value: unknown, name: string, place: string): readonly number[] {
  if (!Array.isArray(value) || value.length === 0)
    throw malformed(place, `${name}, a list of at least one token id`, value);
  const stranger: unknown = value.find((id) => !isCount(id));
  if (stranger === undefined && !value.includes(undefined)) return value as number[];
  throw malformed(place, `${name} of token ids, whole numbers from 0`, stranger);
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

const malformed = (place: string, expected: string, found: unknown): CliError =>
  new CliError("malformed-file", `${place}: expected ${expected}, found ${excerpt(JSON.stringify(found))}`);

const excerpt = (text: string | undefined): string =>
  text === undefined ? "none" : text.length > 40 ? `${text.slice(0, 40)}…` : text;
