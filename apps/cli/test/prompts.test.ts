import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PreTrainedTokenizer } from "@huggingface/transformers";
import type { ChatMessage } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import type { CliError } from "../src/cli-error.js";
import { readFolderConfig } from "../src/models/folder-config.js";
import { loadChatTemplate } from "../src/tokens/chat-template.js";
import { readPrompt } from "../src/tokens/read-prompt.js";
import { folderVocabulary } from "../src/tokens/vocabulary.js";
import { failureOf } from "./support.js";
import { ADDS_BOS, type Changes, changedTokenizer, PAD, tinyLlama } from "./tiny-llama.js";

/** The tokens of a prompt to a copy of the tiny Llama. */
async function tokensOf(changes: Changes, prompt: readPrompt.Options): Promise<readonly number[]> {
  const folder = await tinyLlama(changes);
  return readPrompt(folder, folderVocabulary(folder, await readFolderConfig(folder)), prompt);
}

describe("the tokens of a prompt", () => {
  const models: readonly (readonly [string, Changes])[] = [
    ["config.json names it", {}],
    ["the tokenizer adds it", { config: { bos_token_id: null }, tokenizer: { post_processor: ADDS_BOS } }],
    ["both do", { tokenizer: { post_processor: ADDS_BOS } }],
    ["add_bos_token asks for it", { config: { bos_token_id: null }, settings: { add_bos_token: true } }],
  ];
  it.each(models)("begin with one BOS where %s, also where the prompt spells it out", async (_, changes) => {
    const expected = [1, 30, 5];
    expect(await tokensOf(changes, { prompt: "ab" })).toEqual(expected);
    expect(await tokensOf(changes, { prompt: "<s>ab" })).toEqual(expected);
    expect(await tokensOf(changes, { prompt: "<s> ab" })).toEqual([1, 3, 30, 5]);
    expect(await tokensOf(changes, { prompt: "<s><s>ab" })).toEqual([1, 1, 30, 5]);
  });

  it("have none where nothing names one", async () => {
    expect(await tokensOf({ config: { bos_token_id: null } }, { prompt: "ab" })).toEqual([30, 5]);
    const { code } = await failureOf(tokensOf({ config: { bos_token_id: null } }, { prompt: "" }));
    expect(code).toBe("insufficient-text");
  });

  it("are refused by name where the model does not have them", async () => {
    const error = await failureOf(tokensOf({ addedTokens: [PAD] }, { prompt: "<pad>ab" }));
    expect(error.code).toBe("malformed-tokens");
    expect(error.message).toMatch(/^--prompt: token 64 \(<pad>\) is not in the vocabulary of 64; /);
  });
});

const LLAMA_LIKE = `{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{%- if strftime_now is defined %}
    {%- set today = strftime_now("%d %b %Y") %}
{%- endif %}
{{- "<|head|>system<|end_head|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Tools: " + tools | tojson + "\\n" }}
{%- endif %}
{{- "Today: " + today + "\\n\\n" + system_message + "<|turn_end|>" }}
{%- for message in messages %}
    {{- '<|head|>' + message['role'] + '<|end_head|>\\n\\n' + message['content'] | trim + '<|turn_end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|head|>assistant<|end_head|>\\n\\n' }}
{%- endif %}
`;

const CHATML = `{% for message in messages %}
{% if loop.first and message.role != 'system' %}
{{ '<|start|>system\\nYou answer briefly.<|turn_end|>' }}
{% endif %}
{{ '<|start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|turn_end|>' ~ '\\n' }}
{% endfor %}
{% if add_generation_prompt %}{{ '<|start|>assistant\\n' }}{% endif %}`;

const GEMMA_LIKE = `{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}{{ '<|start|>' + role + '\\n' + message['content'] | trim + '<|turn_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start|>model\\n' }}{% endif %}`;

const MISTRAL_LIKE = `{%- set ns = namespace(system='') -%}
{%- for message in messages if message.role == 'system' -%}
  {%- set ns.system = ns.system + message.content + '\\n\\n' -%}
{%- endfor -%}
{{- bos_token -}}
{%- for message in messages -%}
  {%- if message.role == 'user' -%}
    {{- '[INST] ' + ns.system + message.content + ' [/INST]' -}}
  {%- elif message.role == 'assistant' -%}
    {{- ' ' + message.content + eos_token -}}
  {%- endif -%}
{%- endfor -%}`;

const TURN_TOKENS = ["<|head|>", "<|end_head|>", "<|turn_end|>", "<|start|>"].map((content, index) => ({
  ...PAD,
  id: 70 + index,
  content,
}));

describe("a chat", () => {
  const described = { content: "<s>", lstrip: false, normalized: false, rstrip: false, single_word: false };
  const templates = [
    ["of Llama's form", { chat_template: LLAMA_LIKE }],
    ["of ChatML's form", { chat_template: CHATML }],
    ["of Gemma's form", { chat_template: GEMMA_LIKE }],
    ["of Mistral's form", { chat_template: MISTRAL_LIKE, bos_token: { __type: "AddedToken", ...described } }],
    [
      "named default among others",
      {
        chat_template: [
          { name: "tool_use", template: "no" },
          { name: "default", template: CHATML },
        ],
      },
    ],
  ] as const;
  const tokenizer = { post_processor: ADDS_BOS };
  const changes = { addedTokens: TURN_TOKENS, tokenizer, config: { vocab_size: 128 } };

  /** Text and tokens as transformers.js makes them, or `refused`. */
  async function oracle(settings: object, turns: ChatMessage[]) {
    const fields = { bos_token: "<s>", eos_token: "</s>", ...settings };
    const theirs = new PreTrainedTokenizer(await changedTokenizer(changes), fields);
    const options = { add_generation_prompt: true, return_tensor: false, return_dict: false } as const;
    try {
      return {
        text: theirs.apply_chat_template(turns, { ...options, tokenize: false }),
        tokens: theirs.apply_chat_template(turns, { ...options, tokenize: true }),
      };
    } catch {
      return "refused";
    }
  }

  async function ours(settings: object, turns: ChatMessage[]) {
    const folder = await tinyLlama({ ...changes, settings: { ...settings } });
    const vocabulary = folderVocabulary(folder, { vocabSize: 128, bosToken: 1 });
    const [prompt, system] = turns.map(({ content }) => content).reverse();
    const text = (await loadChatTemplate(folder))(turns);
    return { text, tokens: await readPrompt(folder, vocabulary, { prompt: prompt!, chat: { system } }) };
  }

  it.each(templates)("with a template %s is what transformers.js makes of it", async (_, settings) => {
    const user: ChatMessage = { role: "user", content: "  a bee?\nsee <|start|> " };
    const conversations: ChatMessage[][] = [[user], [{ role: "system", content: " be brief " }, user]];
    for (const turns of conversations) {
      const found = await ours(settings, turns).catch(({ code }: CliError) => code === "usage" && "refused");
      expect(found).toEqual(await oracle(settings, turns));
      const refuses = settings.chat_template === GEMMA_LIKE && turns.length === 2;
      expect(found === "refused").toBe(refuses);
    }
  });

  it("takes the template of chat_template.jinja before that of tokenizer_config.json", async () => {
    const folder = await tinyLlama({
      settings: { chat_template: "no" },
      files: { "chat_template.jinja": "{{ bos_token }}{{ messages[0].content }}{{ pad_token }}!\n" },
    });
    const render = await loadChatTemplate(folder);
    expect(render([{ role: "user", content: "Hello" }])).toBe("<s>Hello!");
  });

  it("says what to do where the template takes no system prompt", async () => {
    const options = { prompt: "a", chat: { system: "b" } };
    const { message } = await failureOf(tokensOf({ settings: { chat_template: GEMMA_LIKE } }, options));
    expect(message).toContain(
      "tokenizer_config.json: the chat template refuses this conversation (System role not supported); try it without --system",
    );
  });

  it.each([
    ["no template", undefined, "unsupported-model", "has no chat template"],
    [
      "no default among named ones",
      [{ name: "rag", template: "" }],
      "unsupported-model",
      "lists rag, and a chat needs one named default",
    ],
    ["an empty list", [], "unsupported-model", "lists nothing"],
    ["what is no template", "{% if %}", "malformed-file", "the chat template cannot be read"],
    [
      "more names than fit",
      Array(3000).fill({ name: "x" }),
      "unsupported-model",
      "lists x, x, x, x and 2996 more, and",
    ],
    ["a name that is none", [{ name: { toString: 1, valueOf: 1 } }], "unsupported-model", "a nameless one"],
    ["what is no list of templates", [null, 3], "unsupported-model", "and a chat needs one named default"],
    ["a template that fails", "{{ nothing.at.all() }}", "usage", "refuses this conversation"],
    ["a template that writes nothing", "{{ messages.nothing }}", "unsupported-model", "writes nothing"],
  ])("refuses %s", async (_, template, code, message) => {
    const folder = await tinyLlama();
    const settings = JSON.stringify({ chat_template: template });
    await writeFile(join(folder, "tokenizer_config.json"), settings);
    const chat = readPrompt(folder, folderVocabulary(folder, { bosToken: 1 }), { prompt: "a", chat: {} });
    const error = await failureOf(chat);
    expect(error.code).toBe(code);
    expect(error.message).toContain(folder);
    expect(error.message).toContain(message);
  });
});
