import type { Choices } from "../choices.js";
import type { FuzzCase } from "../fuzz-case.js";
import { jsonPaths, mutateText, pickReplacement, replaceInJson } from "../mutate-json.js";
import { SMALL_GENERATION_CONFIG, SMALL_TOKENIZER, SMALL_TOKENIZER_CONFIG } from "../small-tokenizer.js";

const FILES = {
  "tokenizer.json": SMALL_TOKENIZER,
  "tokenizer_config.json": SMALL_TOKENIZER_CONFIG,
  "generation_config.json": SMALL_GENERATION_CONFIG,
  "config.json": {
    model_type: "llama",
    vocab_size: 96,
    bos_token_id: 0,
    eos_token_id: 1,
    max_position_embeddings: 64,
  },
  "kvfold.json": { version: "0.1.0", plan: { maxPositions: 64 } },
} as const;

type FileName = keyof typeof FILES;

const CHANGED: readonly FileName[] = [
  ...([
    "tokenizer.json",
    "tokenizer.json",
    "tokenizer.json",
    "tokenizer.json",
    "tokenizer_config.json",
  ] as const),
  ...(["tokenizer_config.json", "generation_config.json", "config.json", "kvfold.json"] as const),
];

/** The JSON files around a tokenizer, one of them broken. */
export function tokenizerCase(choices: Choices): FuzzCase {
  const files = new Map<string, string | Uint8Array>(
    Object.entries(FILES).map(([name, content]) => [name, JSON.stringify(content)]),
  );
  const name = choices.pick(CHANGED);
  const { content, mutation } = choices.pick([changeValues, changeValues, changeValues, changeText, notText])(
    name,
    choices,
  );
  if (choices.chance(0.1)) files.set("chat_template.jinja", template(choices));
  files.set(name, content);
  return { attempt: "tokenizer", files, mutation: `${name}: ${mutation}` };
}

function changeValues(name: FileName, choices: Choices) {
  const changes = Array.from({ length: 1 + choices.int(2) }, () => {
    return [choices.pick(jsonPaths(FILES[name], 4)), pickReplacement(choices)] as const;
  });
  const mutation = changes
    .map(([path, text]) => `${path.join(".")} = ${text?.slice(0, 60) ?? "removed"}`)
    .join("; ");
  return { content: replaceInJson(FILES[name], changes), mutation };
}

function changeText(name: FileName, choices: Choices) {
  const { text, mutation } = mutateText(JSON.stringify(FILES[name]), choices);
  return { content: text, mutation };
}

const notText = () => ({ content: Uint8Array.of(0x7b, 0xff, 0x7d), mutation: "not UTF-8" });

function template(choices: Choices): string {
  const text = SMALL_TOKENIZER_CONFIG.chat_template;
  const start = choices.int(text.length);
  return choices.pick([
    text.slice(0, start),
    text.slice(0, start) + text.slice(start + 1 + choices.int(8)),
    text.replace("messages", choices.pick(["nothing", "messages[99]", "messages.x.y", "1", "range(10)"])),
    `{{ raise_exception('no') }}${text}`,
    "",
    "{{ }}",
  ]);
}
