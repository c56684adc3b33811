import { type ChatTemplate, readChatTemplate } from "@kvfold/runtime";
import type { ModelFiles } from "./model-files.js";

/**
 * The chat template of a model's folder; `undefined` where it has none. The library that renders templates is loaded where there
 * is one.
 *
 * @throws {RuntimeError} as `readChatTemplate`.
 */
export async function readModelChat(files: ModelFiles): Promise<ChatTemplate | undefined> {
  const [template, settings] = await Promise.all(
    ["chat_template.jinja", "tokenizer_config.json"].map(async (path) => files.get(path)?.text()),
  );
  if (template === undefined && settings?.includes('"chat_template"') !== true) return undefined;
  const { Template } = await import("@huggingface/jinja");
  return readChatTemplate(Template, { model: "this model", template, settings });
}
