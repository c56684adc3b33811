import type { ChatMessage } from "@kvfold/runtime";
import { HttpError } from "./http-error.js";

/** What is asked of a generation, whatever the endpoint. */
export interface GenerationRequest {
  readonly maxNewTokens: number | undefined;
  readonly temperature: number;
  readonly topK: number | undefined;
  readonly topP: number | undefined;
  readonly seed: number | undefined;
  readonly stop: readonly string[];
  readonly isStream: boolean;
  /** Whether a stream ends with the numbers of tokens. */
  readonly includesUsage: boolean;
}

export interface ChatRequest extends GenerationRequest {
  readonly messages: readonly ChatMessage[];
}

export interface CompletionRequest extends GenerationRequest {
  readonly prompt: string | readonly number[];
}

type Fields = Readonly<Record<string, unknown>>;

const MAX_MESSAGES = 1024;
const MAX_STOPS = 4;
const MAX_STOP_LENGTH = 256;
/** As OpenAI has it. */
const MAX_TEMPERATURE = 2;
const MIN_TOP_P = 1e-6;
const MAX_SEED = Number.MAX_SAFE_INTEGER;

/**
 * Reads the body of `/v1/chat/completions`.
 *
 * @throws {HttpError} 400 for anything else, with the field; 404 for another model.
 */
export function readChatRequest(body: unknown, model: string): ChatRequest {
  const fields = readFields(body, model);
  refuseUnsupported(fields, UNSUPPORTED_IN_CHATS);
  return { ...readGeneration(fields), messages: readMessages(fields.messages) };
}

/** Reads the body of `/v1/completions`. Throws as `readChatRequest`. */
export function readCompletionRequest(body: unknown, model: string): CompletionRequest {
  const fields = readFields(body, model);
  refuseUnsupported(fields, UNSUPPORTED_IN_COMPLETIONS);
  return { ...readGeneration(fields), prompt: readPrompt(fields.prompt) };
}

function readFields(body: unknown, model: string): Fields {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new HttpError(400, "expected a JSON object");
  const fields = body as Fields;
  if (fields.model === undefined || fields.model === null || fields.model === model) return fields;
  if (typeof fields.model !== "string") throw invalid("model", `the name of a model, here ${model}`);
  throw new HttpError(404, `there is no such model here; the one that is served is ${model}`, {
    param: "model",
  });
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null;
const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

/** Fields that change the answer and that nothing here does, unless they ask for what is done anyway. */
const UNSUPPORTED: Readonly<Record<string, (value: unknown) => boolean>> = {
  n: (value) => value === 1,
  best_of: (value) => value === 1,
  frequency_penalty: (value) => value === 0,
  presence_penalty: (value) => value === 0,
  logit_bias: (value) => typeof value === "object" && Object.keys(value as object).length === 0,
};
const UNSUPPORTED_IN_CHATS = {
  ...UNSUPPORTED,
  logprobs: (value: unknown) => value === false,
  tools: isEmptyList,
  functions: isEmptyList,
  response_format: (value: unknown) => (value as { readonly type?: unknown }).type === "text",
};
const UNSUPPORTED_IN_COMPLETIONS = {
  ...UNSUPPORTED,
  logprobs: () => false,
  echo: (value: unknown) => value === false,
  suffix: (value: unknown) => value === "",
};

function refuseUnsupported(fields: Fields, rules: typeof UNSUPPORTED): void {
  for (const [name, isHarmless] of Object.entries(rules)) {
    if (!Object.hasOwn(fields, name) || !isGiven(fields[name]) || isHarmless(fields[name])) continue;
    throw new HttpError(400, `${name} is not supported here; leave it out`, { param: name });
  }
}

const invalid = (param: string, expected: string): HttpError =>
  new HttpError(400, `${param}: expected ${expected}`, { param });

function readGeneration(fields: Fields): GenerationRequest {
  const name = isGiven(fields.max_completion_tokens) ? "max_completion_tokens" : "max_tokens";
  const isStream = readFlag(fields, "stream");
  return {
    maxNewTokens: readWhole(fields, name, 1, Number.MAX_SAFE_INTEGER),
    temperature: readNumber(fields, "temperature", 0, MAX_TEMPERATURE) ?? 1,
    topK: readWhole(fields, "top_k", 1, Number.MAX_SAFE_INTEGER),
    topP: readNumber(fields, "top_p", MIN_TOP_P, 1),
    seed: readWhole(fields, "seed", 0, MAX_SEED),
    stop: readStops(fields.stop),
    isStream,
    includesUsage: isStream && readUsage(fields.stream_options),
  };
}

function readNumber(fields: Fields, name: string, least: number, most: number): number | undefined {
  const value = fields[name];
  if (!isGiven(value)) return undefined;
  if (typeof value === "number" && value >= least && value <= most) return value;
  throw invalid(name, `a number from ${least} to ${most}`);
}

function readWhole(fields: Fields, name: string, least: number, most: number): number | undefined {
  const value = fields[name];
  if (!isGiven(value)) return undefined;
  if (Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most) return Number(value);
  throw invalid(name, `a whole number of ${least} or more`);
}

function readFlag(fields: Fields, name: string): boolean {
  const value = fields[name];
  if (!isGiven(value)) return false;
  if (typeof value === "boolean") return value;
  throw invalid(name, "true or false");
}

function readUsage(options: unknown): boolean {
  if (!isGiven(options)) return false;
  if (typeof options !== "object") throw invalid("stream_options", "an object");
  return readFlag(options as Fields, "include_usage");
}

function readStops(stop: unknown): readonly string[] {
  if (!isGiven(stop)) return [];
  const stops: readonly unknown[] = Array.isArray(stop) ? stop : [stop];
  const isStop = (text: unknown): text is string =>
    typeof text === "string" && text.length > 0 && text.length <= MAX_STOP_LENGTH;
  if (stops.length <= MAX_STOPS && stops.every(isStop)) return stops;
  throw invalid("stop", `a text of 1 to ${MAX_STOP_LENGTH} characters, or up to ${MAX_STOPS} of them`);
}

function readMessages(messages: unknown): readonly ChatMessage[] {
  if (Array.isArray(messages) && messages.length > 0 && messages.length <= MAX_MESSAGES)
    return messages.map(readMessage);
  throw invalid("messages", `a list of 1 to ${MAX_MESSAGES} messages`);
}

const ROLES: Readonly<Record<string, ChatMessage["role"]>> = {
  system: "system",
  developer: "system",
  user: "user",
  assistant: "assistant",
};

function readMessage(message: unknown, index: number): ChatMessage {
  const place = `messages[${index}]`;
  if (typeof message !== "object" || message === null)
    throw invalid(place, "an object with role and content");
  const { role, content } = message as Fields;
  if (typeof role !== "string" || !Object.hasOwn(ROLES, role))
    throw invalid(`${place}.role`, `one of ${Object.keys(ROLES).join(", ")}`);
  return { role: ROLES[role]!, content: readContent(content, `${place}.content`) };
}

/** A text, or a list of its parts. */
function readContent(content: unknown, place: string): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) throw invalid(place, "a text, or a list of parts of type text");
  return content
    .map((part: unknown) => {
      const { type, text } = (part ?? {}) as Fields;
      if (type === "text" && typeof text === "string") return text;
      throw invalid(place, "parts of type text alone");
    })
    .join("");
}

function readPrompt(prompt: unknown): string | readonly number[] {
  if (typeof prompt === "string") return prompt;
  if (Array.isArray(prompt) && prompt.length === 1 && typeof prompt[0] === "string") return prompt[0];
  if (Array.isArray(prompt) && prompt.length > 0 && prompt.every((id) => Number.isSafeInteger(id) && id >= 0))
    return prompt as readonly number[];
  throw invalid("prompt", "a text, or the token ids of one (several prompts are several requests)");
}
