/** Conversations that are kept in files, and several prompts at once. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { generateText } from "../src/jobs/generate.js";
import { generateTexts } from "../src/jobs/generate-batch.js";
import { quietContext } from "../src/jobs/job.js";
import { identifyModel } from "../src/models/identify-model.js";
import { failureOf, makeFolder, removeFolder } from "./support.js";
import { type Changes, tinyLlama, writeTinyLlama } from "./tiny-llama.js";
import { writeTinyModel } from "./tiny-model.js";

let folder: string;
/** The tiny Llama, which always says " b". */
let model: string;
const template = "{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}";

beforeAll(async () => {
  folder = await makeFolder();
  const checkpoint = await tinyLlamaIn("checkpoint", { files: { "chat_template.jinja": template } });
  model = join(folder, "model");
  await foldCheckpoint({ model: checkpoint, output: model, keep: "1" }, quietContext);
  await writeFile(join(model, "chat_template.jinja"), template);
  return () => removeFolder(folder);
});

async function tinyLlamaIn(name: string, changes: Changes): Promise<string> {
  const path = join(folder, name);
  await mkdir(path);
  await writeTinyLlama(path, changes);
  return path;
}

const generate = (options: Partial<generateText.Options>) =>
  generateText({ model, prompt: "a", maxNewTokens: 3, ...options }, quietContext);

describe("a kept conversation", () => {
  it("goes on without being read again, in the same file", async () => {
    const cache = join(folder, "story.cache");
    const first = await generate({ saveCache: cache });
    expect(first).toMatchObject({ text: " b b b", promptTokens: 2 });
    expect(first.cachedTokens).toBeUndefined();
    const options = { loadCache: cache, saveCache: cache, prompt: " a" };
    const second = await generate(options);
    // BOS, "a" and three answers lie in the cache.
    expect(second.cachedTokens).toBe(5);
    expect(second.text).toBe(" b b b");
    const added = second.promptTokens - 5;
    const third = await generate({ ...options, prompt: "" });
    expect(third).toMatchObject({ promptTokens: 8 + added, cachedTokens: 7 + added });
  });

  it("of a chat goes on where the template ends the answer", async () => {
    const cache = join(folder, "chat.cache");
    const first = await generate({ chat: {}, prompt: "c", saveCache: cache });
    const second = await generate({ chat: {}, prompt: "c", loadCache: cache });
    expect(second.cachedTokens).toBe(first.promptTokens + 3);
    // The end of the answer, and the turn without the BOS before it.
    expect(second.promptTokens).toBe(2 * first.promptTokens + 3);
  });

  it("never replaces another file, and leaves nothing else", async () => {
    const place = await tinyLlama();
    const precious = join(place, "precious");
    await writeFile(precious, "dear to someone");
    expect((await failureOf(generate({ saveCache: precious }))).code).toBe("output-exists");
    expect(await readFile(precious, "utf8")).toBe("dear to someone");
    const before = await readdir(place);
    await generate({ saveCache: precious, existing: "replace" });
    expect(await readdir(place)).toEqual(before);
    expect((await readFile(precious)).length).toBeGreaterThan(1000);
    const nowhere = await failureOf(generate({ saveCache: join(place, "none", "cache") }));
    expect(nowhere.code).toBe("write-failed");
  });

  it("is refused where it is none, damaged, or another model's", async () => {
    const cache = join(folder, "mine.cache");
    await generate({ saveCache: cache });
    const missing = await failureOf(generate({ loadCache: join(folder, "none") }));
    expect(missing.message).toContain("no such saved cache");
    const bytes = await readFile(cache);
    bytes[bytes.length - 2]! ^= 1;
    const damaged = join(folder, "damaged");
    await writeFile(damaged, bytes);
    const found = await failureOf(generate({ loadCache: damaged }));
    expect(found).toMatchObject({ code: "malformed-file" });
    expect(found.message).toContain("checksum");
    const other = await tinyLlamaIn("other", { config: { rms_norm_eps: 0.5 } });
    const foreign = await failureOf(generate({ model: other, loadCache: cache }));
    expect(foreign.message).toContain("expected a cache of model");
  });
});

it("tells folds of the same shape and other weights apart", async () => {
  const checkpoint = await writeTinyModel(join(folder, "tiny"));
  const identities: string[] = [];
  for (const [name, seed] of [
    ["one", 1],
    ["same", 1],
    ["two", 2],
  ] as const) {
    const output = join(folder, name);
    await foldCheckpoint({ model: checkpoint, output, keep: "1/2", method: "random", seed }, quietContext);
    identities.push(await identifyModel(join(output, "onnx", "model.onnx")));
  }
  expect(identities[1]).toBe(identities[0]);
  expect(identities[2]).not.toBe(identities[0]);
});

describe("several prompts", () => {
  const promptsFile = async (text: string): Promise<string> => {
    const path = join(await tinyLlama(), "prompts.txt");
    await writeFile(path, text);
    return path;
  };

  it("have the texts that each has alone, in order", async () => {
    const prompts = await promptsFile("a\r\n\n  \nab ab\nc");
    const options = { maxNewTokens: 4, stop: ["b b b b"] };
    const { texts } = await generateTexts({ model, prompts, ...options }, quietContext);
    for (const [index, prompt] of ["a", "ab ab", "c"].entries()) {
      const { text, promptTokens, tokens, stoppedBy } = await generate({ prompt, ...options });
      expect(texts[index]).toEqual({ text, promptTokens, tokens, stoppedBy });
    }
    expect(texts).toHaveLength(3);
    expect(texts[0]).toMatchObject({ text: " ", stoppedBy: "stop-text" });
  });

  it("are turns of chats where that is asked for", async () => {
    const prompts = await promptsFile("c\na");
    const { texts } = await generateTexts({ model, prompts, chat: {}, maxNewTokens: 2 }, quietContext);
    const alone = await generate({ prompt: "c", chat: {}, maxNewTokens: 2 });
    expect(texts[0]!.promptTokens).toBe(alone.promptTokens);
  });

  it("are refused where there are none, with the file's name", async () => {
    const empty = await promptsFile("\n \n");
    const failed = (prompts: string) => failureOf(generateTexts({ model, prompts }, quietContext));
    expect(await failed(empty)).toMatchObject({ code: "insufficient-text" });
    expect((await failed(folder)).message).toBe(`--prompts ${folder}: no such text file`);
  });
});
