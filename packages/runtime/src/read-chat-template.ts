import { RuntimeError } from "./runtime-error.js";

/** A turn of a conversation. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/**
 * Writes a conversation as the text that a model was trained on, up to where its answer begins.
 *
 * @throws {RuntimeError} `invalid-argument` for a conversation that the template refuses; `unsupported-model` for a template
 *   that writes nothing.
 */
export type ChatTemplate = (messages: readonly ChatMessage[]) => string;

/** The files of a model that may hold its chat template, as they are written. */
export interface ChatFiles {
  /** What error messages call the model: its folder. */
  readonly model: string;
  /** The text of `chat_template.jinja`, where there is one. */
  readonly template?: string | undefined;
  /** The text of `tokenizer_config.json`, where there is one. */
  readonly settings?: string | undefined;
}

/** What is used of a Jinja library. */
interface Template {
  render(variables: Record<string, unknown>): string;
}

type Fields = Readonly<Record<string, unknown>>;

/** Fields of `tokenizer_config.json` that templates may use, as strings. */
const SPECIAL_TOKENS = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
];

/** Templates that a message lists; models with tools have three. */
const MAX_NAMES = 4;
/** Libraries quote what they do not understand, however long it is. */
const LONGEST_REASON = 200;

/**
 * The chat template of a model's files: `chat_template.jinja`, or `chat_template` of `tokenizer_config.json`, which is a
 * template, or a list of named ones of which `default` is taken. Rendered as transformers does
 * (https://huggingface.co/docs/transformers/main/en/chat_templating), special tokens and all.
 *
 * @param Library - Makes a template of its text, as `Template` of `@huggingface/jinja` does.
 * @returns `undefined` for a model without one.
 * @throws {RuntimeError} `malformed-tokenizer` for what is not a template, `unsupported-model` for a list without `default`.
 *
 * @example
 * ```js
 * import { Template } from "@huggingface/jinja";
 *
 * const settings = await readFile("model/tokenizer_config.json", "utf8");
 * const chat = readChatTemplate(Template, { model: "model", settings });
 * chat?.([{ role: "user", content: "Hello" }]);
 * ```
 */
export function readChatTemplate(
  Library: new (source: string) => Template,
  files: ChatFiles,
): ChatTemplate | undefined {
  const settings = readSettings(files);
  const found = findSource(files, settings);
  if (found === undefined) return undefined;
  const { source, path } = found;
  const template = parseTemplate(Library, source, path);
  const variables = { tools: null, documents: null, ...specialTokens(settings) };
  return (messages) => {
    const text = render(template, { messages, add_generation_prompt: true, ...variables }, path);
    if (text !== "") return text;
    throw new RuntimeError("unsupported-model", `${path}: the chat template writes nothing`);
  };
}

function readSettings({ model, settings = "{}" }: ChatFiles): Fields {
  try {
    return (JSON.parse(settings) as Fields | null) ?? {};
  } catch (cause) {
    throw new RuntimeError(
      "malformed-tokenizer",
      `${model}/tokenizer_config.json is not JSON (${reasonOf(cause)})`,
      { cause },
    );
  }
}

interface TemplateSource {
  readonly source: string;
  /** The file that it is in. */
  readonly path: string;
}

function findSource(
  { model, template }: ChatFiles,
  { chat_template: field }: Fields,
): TemplateSource | undefined {
  if (template !== undefined) return { source: template, path: `${model}/chat_template.jinja` };
  const path = `${model}/tokenizer_config.json`;
  if (typeof field === "string") return { source: field, path };
  return Array.isArray(field) ? { source: defaultTemplate(field, path), path } : undefined;
}

function defaultTemplate(named: readonly Fields[], path: string): string {
  const template = named.find((entry) => entry?.name === "default")?.template;
  if (typeof template === "string") return template;
  const shown = named
    .slice(0, MAX_NAMES)
    .map((entry) => (typeof entry?.name === "string" ? shorten(entry.name) : "a nameless one"))
    .join(", ");
  const names = named.length > MAX_NAMES ? `${shown} and ${named.length - MAX_NAMES} more` : shown;
  throw new RuntimeError(
    "unsupported-model",
    `${path}: chat_template lists ${names || "nothing"}, and a chat needs one named default; put the one to use into chat_template.jinja`,
  );
}

function parseTemplate(Library: new (source: string) => Template, source: string, path: string): Template {
  try {
    return new Library(source);
  } catch (cause) {
    throw new RuntimeError(
      "malformed-tokenizer",
      `${path}: the chat template cannot be read (${reasonOf(cause)}); take it from the original model`,
      { cause },
    );
  }
}

/** Special tokens are strings, or objects that describe one. */
const specialTokens = (settings: Fields): Readonly<Record<string, string>> =>
  Object.fromEntries(
    SPECIAL_TOKENS.flatMap((name) => {
      const token = settings[name];
      const content = typeof token === "object" ? (token as Fields | null)?.content : token;
      return typeof content === "string" ? [[name, content]] : [];
    }),
  );

function render(template: Template, variables: Record<string, unknown>, path: string): string {
  try {
    return template.render(variables);
  } catch (cause) {
    throw new RuntimeError(
      "invalid-argument",
      `${path}: the chat template refuses this conversation (${reasonOf(cause)})`,
      { cause },
    );
  }
}

/** An answer that no model has given, to find its end in what a template writes. */
const ANSWER = "[the answer of kvfold]";

/**
 * What a template writes between the end of an answer and the beginning of the next: the end of that answer, the user's turn and
 * where the model goes on. It continues a conversation that a model has read.
 *
 * @throws {RuntimeError} `unsupported-model` for a template that leaves out earlier answers; and as the template.
 */
export function nextTurn(template: ChatTemplate, prompt: string): string {
  const text = template([
    { role: "user", content: "-" },
    { role: "assistant", content: ANSWER },
    { role: "user", content: prompt },
  ]);
  const start = text.indexOf(ANSWER);
  if (start >= 0) return text.slice(start + ANSWER.length);
  throw new RuntimeError(
    "unsupported-model",
    "the chat template leaves out earlier answers, so that a conversation cannot go on where it ended",
  );
}

const reasonOf = (cause: unknown): string => shorten(cause instanceof Error ? cause.message : String(cause));

const shorten = (text: string): string =>
  text.length <= LONGEST_REASON ? text : `${text.slice(0, LONGEST_REASON)}…`;
