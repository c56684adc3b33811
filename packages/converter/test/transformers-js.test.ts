import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { AutoModelForCausalLM, AutoTokenizer, env, LogLevel, Tensor } from "@huggingface/transformers";
import { type Dtype, dtypes } from "@kvfold/decoder";
import { createCausalLM, generate } from "@kvfold/runtime";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import type { planFold } from "../src/index.js";
import type { AssetModel } from "./support/assets.js";
import { writeFolder } from "./support/write-folder.js";

const NEW_TOKENS = 24;
const PROMPT = "It was a bright cold morning, and the old man";
/** In two latents a layer, whose decompositions take less time than those of one. */
const anchored = { keep: "1/4", method: "anchored", heal: "none", keySpan: 4, valueSpan: 4 } as const;
const unfolded = { keep: "1" } as const;
const grouped = { keep: "1/2", method: "svd-a", dtypes: ["fp32", "fp16", "q4"] } as const;
const bloom = { keep: "1/2", method: "paper", dtypes: ["fp32", "q4"] } as const;

let root: string;
const written = new Map<planFold.Options, Promise<string>>();

/** The folder of a fold; several tests may read one. */
function folderOf(name: AssetModel, options: planFold.Options): Promise<string> {
  const folder = written.get(options) ?? writeNew(name, options);
  written.set(options, folder);
  return folder;
}

async function writeNew(name: AssetModel, options: planFold.Options): Promise<string> {
  const folder = await mkdtemp(join(root, "model-"));
  await writeFolder(folder, name, options);
  return folder;
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-transformers-"));
  env.allowRemoteModels = false;
  // It warns of what it cannot know (a file's length, a missing generation_config); errors still fail the test.
  env.logLevel = LogLevel.ERROR;
});

afterAll(() => rm(root, { recursive: true, force: true }));

async function continueWithTransformers(folder: string, dtype: Dtype) {
  const tokenizer = await AutoTokenizer.from_pretrained(folder);
  const model = await AutoModelForCausalLM.from_pretrained(folder, { dtype });
  try {
    const { input_ids: prompt } = tokenizer(PROMPT) as { input_ids: Tensor };
    const inputs = {
      input_ids: prompt,
      attention_mask: new Tensor(
        "int64",
        prompt.data.map(() => 1n),
        prompt.dims,
      ),
    };
    const output = (await model.generate({
      ...inputs,
      max_new_tokens: NEW_TOKENS,
      do_sample: false,
    })) as Tensor;
    return { prompt: toNumbers(prompt), all: toNumbers(output) };
  } finally {
    await model.dispose();
  }
}

const toNumbers = ({ data }: Tensor): number[] => Array.from(data as BigInt64Array, Number);

async function continueWithKvfold(
  folder: string,
  file: string,
  prompt: readonly number[],
): Promise<number[]> {
  const session = await oneThreadProvider().createSession({ path: join(folder, "onnx", file) });
  try {
    const tokens = [...prompt];
    const options = { maxNewTokens: NEW_TOKENS };
    for await (const token of generate(createCausalLM(session), prompt, options)) tokens.push(token);
    return tokens;
  } finally {
    await session.dispose();
  }
}

/** Version 3 takes the cache's shape from `config.json`, where version 4 reads it off the graph. */
async function continueWithVersion3(folder: string, prompt: readonly number[]): Promise<number[]> {
  const script = fileURLToPath(new URL("support/continue-with-transformers-v3.mjs", import.meta.url));
  const args = [script, folder, String(NEW_TOKENS), prompt.join(",")];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as number[];
}

describe("transformers.js 3.8.1 continues a prompt as kvfold's runtime does", () => {
  it.each([
    ["prose-6m, unfolded", "prose-6m", unfolded],
    ["prose-6m, latent", "prose-6m", { keep: "1/4", method: "latent", heal: "none" }],
    ["prose-6m, grouped", "prose-6m", grouped],
    ["prose-6m, anchored", "prose-6m", { ...anchored, budget: "uniform" }],
  ] as const)("%s", async (_, name, options) => {
    const folder = await folderOf(name, options);
    const prompt = [0, 11, 350, 7, 1024, 99];
    // It stops at the token that ends texts.
    const all = await continueWithVersion3(folder, prompt);
    expect(all.length).toBeGreaterThan(prompt.length + 3);
    expect((await continueWithKvfold(folder, "model.onnx", prompt)).slice(0, all.length)).toEqual(all);
  });
});

describe("transformers.js continues a prompt as kvfold's runtime does", () => {
  it.each([
    ["prose-6m, unfolded", "prose-6m", unfolded],
    ["prose-6m, grouped", "prose-6m", grouped],
    ["prose-6m, the paper's spans", "prose-6m", { keep: "1/2", method: "paper" }],
    ["prose-6m, lorc", "prose-6m", { keep: "1/2", method: "lorc" }],
    ["prose-6m, eigen-attention", "prose-6m", { keep: "1/2", method: "eigen-attention" }],
    ["prose-6m, most of it for values", "prose-6m", { keep: "1/2", method: "lorc", keyShare: "5/16" }],
    [
      "prose-6m, layers of different ranks",
      "prose-6m",
      { keep: "1/2", method: "svd-a", budget: "lorc-progressive" },
    ],
    ["prose-6m, anchored", "prose-6m", anchored],
    ["prose-bloom-6m, folded", "prose-bloom-6m", bloom],
    ["prose-6m, grouped, float16", "prose-6m", grouped, "fp16"],
    ["prose-6m, grouped, four bits", "prose-6m", grouped, "q4"],
    ["prose-bloom-6m, folded, four bits", "prose-bloom-6m", bloom, "q4"],
  ] as const)("%s", async (_, name, options, dtype: Dtype = "fp32") => {
    const folder = await folderOf(name, options);
    const { prompt, all } = await continueWithTransformers(folder, dtype);
    expect(all).toHaveLength(prompt.length + NEW_TOKENS);
    expect(await continueWithKvfold(folder, dtypes[dtype].fileName, prompt)).toEqual(all);
  });
});
