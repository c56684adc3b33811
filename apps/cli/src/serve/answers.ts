import type { FinishReason } from "@kvfold/runtime";

/** What all pieces of an answer say of it. */
export interface AnswerHead {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
}

/** Numbers of tokens. */
export interface Usage {
  readonly prompt: number;
  readonly completion: number;
}

/** The shape of an endpoint's answers. */
export interface AnswerShape {
  readonly idPrefix: string;
  /** The whole answer. */
  readonly whole: (head: AnswerHead, text: string, finish: string, usage: Usage) => object;
  /** What a stream begins with. */
  readonly first: (head: AnswerHead) => readonly object[];
  readonly piece: (head: AnswerHead, text: string) => object;
  readonly last: (head: AnswerHead, finish: string) => object;
  /** What a stream ends with that has to tell of tokens. */
  readonly usage: (head: AnswerHead, usage: Usage) => object;
}

/** Why an answer ended, as OpenAI says it. */
export const finishName = (reason: FinishReason | "stop-text"): string =>
  reason === "stop-token" || reason === "stop-text" ? "stop" : "length";

const usageFields = ({ prompt, completion }: Usage) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
});

const chatChunk = (head: AnswerHead, delta: object, finish: string | null) => ({
  ...head,
  object: "chat.completion.chunk",
  choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
});

/** `/v1/chat/completions`. */
export const chatAnswers: AnswerShape = {
  idPrefix: "chatcmpl-",
  whole: (head, content, finish, usage) => ({
    ...head,
    object: "chat.completion",
    choices: [{ index: 0, message: { role: "assistant", content }, logprobs: null, finish_reason: finish }],
    usage: usageFields(usage),
  }),
  first: (head) => [chatChunk(head, { role: "assistant", content: "" }, null)],
  piece: (head, content) => chatChunk(head, { content }, null),
  last: (head, finish) => chatChunk(head, {}, finish),
  usage: (head, usage) => ({
    ...head,
    object: "chat.completion.chunk",
    choices: [],
    usage: usageFields(usage),
  }),
};

const textChunk = (head: AnswerHead, text: string, finish: string | null) => ({
  ...head,
  object: "text_completion",
  choices: [{ index: 0, text, logprobs: null, finish_reason: finish }],
});

/** `/v1/completions`. */
export const textAnswers: AnswerShape = {
  idPrefix: "cmpl-",
  whole: (head, text, finish, usage) => ({ ...textChunk(head, text, finish), usage: usageFields(usage) }),
  first: () => [],
  piece: (head, text) => textChunk(head, text, null),
  last: (head, finish) => textChunk(head, "", finish),
  usage: (head, usage) => ({ ...head, object: "text_completion", choices: [], usage: usageFields(usage) }),
};
