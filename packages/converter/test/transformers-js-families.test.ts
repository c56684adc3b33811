import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AutoModelForCausalLM, env, LogLevel, Tensor } from "@huggingface/transformers";
import { openCheckpoint } from "@kvfold/decoder";
import { directorySource } from "@kvfold/decoder/node";
import { createCausalLM, generate } from "@kvfold/runtime";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { familyFolder, familyNames, readReference } from "../../decoder/test/support/families.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { arcee, relations, writeRelated } from "../../decoder/test/support/related-families.js";
import { planFold } from "../src/index.js";
import { writeModel } from "../src/node.js";

const PROMPT_TOKENS = 12;
const NEW_TOKENS = 8;
/** Tokens that the rotation tables cover: some configs name fewer than prompt and answer have. */
const MAX_POSITIONS = 64;

/** Types that version 4.3.1 has no decoder class for (`MODEL_FOR_CAUSAL_LM_MAPPING_NAMES` in its source). */
const UNKNOWN = ["exaone4", "glm4", "nemotron", "seed_oss"];
/** Types without a golden model, made of another's. */
const related = Object.entries({ ...relations, arcee });

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-families-"));
  env.allowRemoteModels = false;
  // It warns of what it cannot know (a file's length, a missing generation_config); errors still fail the test.
  env.logLevel = LogLevel.ERROR;
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Exports a tiny model as the command line does with `--keep 1`. */
async function exportModel(from: string): Promise<string> {
  const to = await mkdtemp(join(root, "exported-"));
  const checkpoint = await openCheckpoint(await directorySource(from));
  try {
    const options = { keep: "1", method: "svd-w", heal: "none", maxPositions: MAX_POSITIONS } as const;
    const plan = planFold(checkpoint.config, options);
    const provider = oneThreadProvider();
    await writeModel({ checkpoint, plan, from, to, provider, record: () => ({}) });
  } finally {
    await checkpoint.close();
  }
  return to;
}

const loadWithTransformers = (folder: string) =>
  AutoModelForCausalLM.from_pretrained(folder, {
    dtype: "fp32",
    session_options: { intraOpNumThreads: 1 },
  });

async function continueWithTransformers(folder: string, prompt: readonly number[]): Promise<number[]> {
  const model = await loadWithTransformers(folder);
  const row = (values: readonly number[]) =>
    new Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
  try {
    const output = (await model.generate({
      input_ids: row(prompt),
      attention_mask: row(prompt.map(() => 1)),
      max_new_tokens: NEW_TOKENS,
      do_sample: false,
      // No token ends these texts.
      eos_token_id: [-1],
    })) as Tensor;
    return Array.from(output.data as BigInt64Array, Number);
  } finally {
    await model.dispose();
  }
}

async function continueWithKvfold(folder: string, prompt: readonly number[]): Promise<number[]> {
  const session = await oneThreadProvider().createSession({ path: join(folder, "onnx", "model.onnx") });
  try {
    const tokens = [...prompt];
    const options = { maxNewTokens: NEW_TOKENS };
    for await (const token of generate(createCausalLM(session), prompt, options)) tokens.push(token);
    return tokens;
  } finally {
    await session.dispose();
  }
}

/** The first tokens of a golden model's text, and what both make of them. */
async function continueBoth(folder: string, golden: string) {
  const prompt = readReference(golden).sequences[0]!.ids.slice(0, PROMPT_TOKENS);
  return {
    expected: await continueWithTransformers(folder, prompt),
    found: await continueWithKvfold(folder, prompt),
  };
}

describe("transformers.js 4.3.1 continues tokens as kvfold's runtime does", () => {
  it.each(familyNames.filter((name) => !UNKNOWN.includes(name)))("%s", async (name) => {
    const { expected, found } = await continueBoth(await exportModel(familyFolder(name)), name);
    expect(expected).toHaveLength(PROMPT_TOKENS + NEW_TOKENS);
    expect(found).toEqual(expected);
  });

  it.each(related.filter(([name]) => name !== "internlm2"))("%s", async (name, relation) => {
    const from = await mkdtemp(join(root, "related-"));
    await writeRelated(from, name.split(",")[0]!, relation);
    const { expected, found } = await continueBoth(await exportModel(from), relation.of);
    expect(expected).toHaveLength(PROMPT_TOKENS + NEW_TOKENS);
    expect(found).toEqual(expected);
  });

  it.each(UNKNOWN)("%s is a type it does not know", async (name) => {
    const folder = await exportModel(familyFolder(name));
    await expect(loadWithTransformers(folder)).rejects.toThrow(`Unsupported model type: ${name}`);
  });
});
