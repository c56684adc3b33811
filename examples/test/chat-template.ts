import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const CHAT_TEMPLATE =
  "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";

/** Gives a folded model, which was never trained to chat, a template for it. */
export async function addChatTemplate(folder: string): Promise<void> {
  const path = join(folder, "tokenizer_config.json");
  const settings = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  await writeFile(path, JSON.stringify({ ...settings, chat_template: CHAT_TEMPLATE }));
}
