import { join } from "node:path";
import { Template } from "@huggingface/jinja";
import { readUtf8 } from "@kvfold/decoder/node";
import { type ChatMessage, type ChatTemplate, RuntimeError, readChatTemplate } from "@kvfold/runtime";
import { CliError, type CliErrorCode } from "../cli-error.js";

/**
 * Reads the chat template of a model folder, as `readChatTemplate` says.
 *
 * @throws {CliError} `unsupported-model` for a model without one, `malformed-file` for one that is not a template. The
 *   template throws `usage` for a conversation that it does not take.
 */
export async function loadChatTemplate(folder: string): Promise<ChatTemplate> {
  const [template, settings] = await Promise.all(
    ["chat_template.jinja", "tokenizer_config.json"].map((file) => readUtf8(join(folder, file))),
  );
  const chat = withRemedy([], () => readChatTemplate(Template, { model: folder, template, settings }));
  if (chat !== undefined) return (messages) => withRemedy(messages, () => chat(messages));
  throw new CliError(
    "unsupported-model",
    `${folder} has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json), so it may not be a chat model; leave out --chat to continue the text`,
  );
}

const CODES: Readonly<Record<string, CliErrorCode>> = {
  "malformed-tokenizer": "malformed-file",
  "invalid-argument": "usage",
  "unsupported-model": "unsupported-model",
};

/** Does something with a template; its errors get the codes of the command line, and say which option may help. */
export function withRemedy<T>(messages: readonly ChatMessage[], work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!RuntimeError.isInstance(cause)) throw cause;
    throw new CliError(CODES[cause.code]!, cause.message + remedyFor(cause, messages), { cause });
  }
}

function remedyFor({ code }: RuntimeError, messages: readonly ChatMessage[]): string {
  if (code === "unsupported-model") return "; or leave out --chat";
  const hasSystem = messages.some(({ role }) => role === "system");
  return code === "invalid-argument" && hasSystem ? "; try it without --system" : "";
}
