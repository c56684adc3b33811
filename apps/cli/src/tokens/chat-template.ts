import { join } from "node:path";
import { Template } from "@huggingface/jinja";
import { readUtf8 } from "@kvfold/decoder/node";
import { CliError } from "../cli-error.js";
import { shortMessage } from "../short-message.js";

/** A turn of a conversation. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** Writes a conversation as the text that a model was trained on, up to where its answer begins. */
export type ChatTemplate = (messages: readonly ChatMessage[]) => string;

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

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads the chat template of a model folder: `chat_template.jinja`, or `chat_template` of `tokenizer_config.json`, which
 * is a template, or a list of named ones of which `default` is taken. Rendered as transformers does
 * (https://huggingface.co/docs/transformers/main/en/chat_templating), special tokens and all.
 *
 * @throws {CliError} `unsupported-model` for a model without one, `malformed-file` for one that is not a template. The
 *   template throws `usage` for a conversation that it does not take.
 */
export async function loadChatTemplate(folder: string): Promise<ChatTemplate> {
  const settings = await readSettings(folder);
  const { source, path } = await findSource(folder, settings);
  const template = parseTemplate(source, path);
  const variables = { tools: null, documents: null, ...specialTokens(settings) };
  return (messages) => {
    const text = render(template, { messages, add_generation_prompt: true, ...variables }, path);
    if (text !== "") return text;
    throw new CliError("unsupported-model", `${path}: the chat template writes nothing; leave out --chat`);
  };
}

async function readSettings(folder: string): Promise<Fields> {
  const path = join(folder, "tokenizer_config.json");
  try {
    return (JSON.parse((await readUtf8(path)) ?? "{}") as Fields | null) ?? {};
  } catch (cause) {
    throw new CliError("malformed-file", `${path} is not JSON (${shortMessage(cause)})`, { cause });
  }
}

interface TemplateSource {
  readonly source: string;
  /** The file that it is in. */
  readonly path: string;
}

async function findSource(folder: string, { chat_template: field }: Fields): Promise<TemplateSource> {
  const file = join(folder, "chat_template.jinja");
  const text = await readUtf8(file);
  if (text !== undefined) return { source: text, path: file };
  const path = join(folder, "tokenizer_config.json");
  if (typeof field === "string") return { source: field, path };
  if (Array.isArray(field)) return { source: defaultTemplate(field, path), path };
  throw new CliError(
    "unsupported-model",
    `${folder} has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json), so it may not be a chat model; leave out --chat to continue the text`,
  );
}

/** Templates that a message lists; models with tools have three. */
const MAX_NAMES = 4;

function defaultTemplate(named: readonly Fields[], path: string): string {
  const template = named.find((entry) => entry?.name === "default")?.template;
  if (typeof template === "string") return template;
  const shown = named
    .slice(0, MAX_NAMES)
    .map((entry) => (typeof entry?.name === "string" ? shortMessage(entry.name) : "a nameless one"))
    .join(", ");
  const names = named.length > MAX_NAMES ? `${shown} and ${named.length - MAX_NAMES} more` : shown;
  throw new CliError(
    "unsupported-model",
    `${path}: chat_template lists ${names || "nothing"}, and --chat needs one named default; put the one to use into chat_template.jinja`,
  );
}

function parseTemplate(source: string, path: string): Template {
  try {
    return new Template(source);
  } catch (cause) {
    throw new CliError(
      "malformed-file",
      `${path}: the chat template cannot be read (${shortMessage(cause)}); take it from the original model`,
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

interface Variables extends Fields {
  readonly messages: readonly ChatMessage[];
}

function render(template: Template, variables: Variables, path: string): string {
  try {
    return template.render(variables);
  } catch (cause) {
    const remedy = variables.messages.some(({ role }) => role === "system")
      ? "; try it without --system"
      : "";
    throw new CliError(
      "usage",
      `${path}: the chat template refuses this conversation (${shortMessage(cause)})${remedy}`,
      { cause },
    );
  }
}
