import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { evaluateModels } from "../src/jobs/evaluate.js";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { generateText } from "../src/jobs/generate.js";
import { quietContext } from "../src/jobs/job.js";
import { tokenFile } from "../src/tokens/read-tokens.js";
import { failureOf, makeFolder, removeFolder } from "./support.js";
import { type Changes, PAD, tinyLlama, writeTinyLlama } from "./tiny-llama.js";

/** The model as a graph, exported once: only the files beside it differ between tests. */
let exported: string;

beforeAll(async () => {
  const folder = await makeFolder();
  exported = join(folder, "exported");
  await writeTinyLlama(folder);
  await foldCheckpoint({ model: folder, output: exported, keep: "1" }, quietContext);
  return () => removeFolder(folder);
});

async function graphOf(changes: Changes = {}): Promise<string> {
  const folder = await tinyLlama(changes);
  await cp(join(exported, "onnx"), join(folder, "onnx"), { recursive: true });
  return folder;
}

/** The text that the tiny Llama, which always says " b", makes, in pieces. */
async function generate(model: string, options: Partial<generateText.Options> = {}) {
  const pieces: string[] = [];
  const context = { ...quietContext, onText: (text: string) => void pieces.push(text) };
  const result = await generateText({ model, prompt: "a", maxNewTokens: 4, ...options }, context);
  return { ...result, pieces };
}

it("names options for drawing where nothing is drawn", async () => {
  const notices: string[] = [];
  const context = { ...quietContext, onNotice: (text: string) => void notices.push(text) };
  const options = { model: await graphOf(), prompt: "a", maxNewTokens: 1, topK: 5, seed: 2 };
  await generateText(options, context);
  await generateText({ ...options, temperature: 1 }, context);
  expect(notices).toEqual([expect.stringMatching(/^--top-k, --seed: not used/)]);
});

describe("generateText with a tokenizer like that of Llama 2", () => {
  it("keeps the space before the first word", async () => {
    const { text, pieces, tokens, promptTokens } = await generate(await graphOf());
    expect([text, pieces]).toEqual([" b b b b", [" b", " b", " b", " b"]]);
    expect([promptTokens, tokens]).toEqual([2, 4]);
  });

  it.each([
    [" b", "", 1],
    ["b", " ", 1],
    ["b b", " ", 2],
    [" b b b", "", 3],
    ["c", " b b b b", 4],
  ])("stops at %j, as it would be seen", async (stop, text, tokens) => {
    const stoppedBy = stop === "c" ? "max-new-tokens" : "stop-text";
    expect(await generate(await graphOf(), { stop: [stop] })).toMatchObject({ text, tokens, stoppedBy });
  });

  it.each([
    ["a list in generation_config.json", { files: { "generation_config.json": '{"eos_token_id":[2,31]}' } }],
    ["config.json", { config: { eos_token_id: 31 } }],
    [
      "config.json, where generation_config.json names another",
      { config: { eos_token_id: [31] }, files: { "generation_config.json": '{"eos_token_id":2}' } },
    ],
  ])("stops at the end that is named in %s", async (_, changes) => {
    expect(await generate(await graphOf(changes))).toMatchObject({
      text: "",
      tokens: 0,
      stoppedBy: "stop-token",
    });
  });

  it("answers in a chat", async () => {
    const template = "{{ bos_token }}{% for m in messages %} {{ m.content }}{% endfor %}";
    const model = await graphOf({ files: { "chat_template.jinja": template } });
    const options = { maxNewTokens: 2, prompt: "c", chat: { system: "d" } };
    expect(await generate(model, options)).toMatchObject({ text: " b b", promptTokens: 4 });
  });

  it("refuses tokens that the model does not have before it is run", async () => {
    const model = await tinyLlama({ addedTokens: [PAD] });
    const message = "token 64 (<pad>) is not in the vocabulary of 64";
    expect((await failureOf(generate(model, { prompt: "<pad>ab" }))).message).toContain(
      `--prompt: ${message}`,
    );
    const text = join(model, "text.txt");
    await writeFile(text, "<pad>ab ab ab ab");
    const files = [tokenFile(text)];
    const evaluation = evaluateModels({ models: [model], files, window: 2 }, quietContext);
    expect((await failureOf(evaluation)).message).toContain(`${text}: ${message}`);
  });
});
