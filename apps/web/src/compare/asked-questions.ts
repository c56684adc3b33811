import { type ChatMessage, type ChatTemplate, nextTurn } from "@kvfold/runtime";

/** What a model has read and written. */
export interface Conversation {
  /** Prompts and all that was drawn. */
  readonly tokens: readonly number[];
  /** Of chats. */
  readonly turns: readonly ChatMessage[];
}

export const NOTHING_SAID: Conversation = { tokens: [], turns: [] };

/** The text that a question adds to a conversation, and the turns with it. */
export function askNext(
  { tokens, turns }: Conversation,
  chat: ChatTemplate,
  content: string,
): { readonly text: string; readonly turns: readonly ChatMessage[] } {
  const question: ChatMessage = { role: "user", content };
  const text = tokens.length === 0 ? chat([question]) : nextTurn(chat, content);
  return { text, turns: [...turns, question] };
}

/** Whether conversations can be compared: models were asked the same. */
export function haveSameQuestions(conversations: readonly Conversation[]): boolean {
  const [first, ...others] = conversations.map(({ turns }) =>
    JSON.stringify(turns.filter(({ role }) => role === "user")),
  );
  return others.every((questions) => questions === first);
}
