import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Checkpoint, openCheckpoint } from "@kvfold/decoder";
import { directorySource } from "@kvfold/decoder/node";
import { readModel } from "@kvfold/onnx";
import { createCausalLM, readCacheLayout, type SessionProvider } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type syntheticFiles,
  tinyBloom,
  tinyLlama,
  syntheticFiles as write,
} from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { oneThreadProvider } from "../../../decoder/test/support/one-thread-provider.js";
import { randomWindows } from "../../test/support/numbers.js";
import { allocateBudget } from "../budgets/allocate-budget.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import { planFold } from "../plan/plan-fold.js";
import { createPendingFolder } from "./model-folder.js";
import { writeModel } from "./write-model.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-write-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** Writes a checkpoint with a tokenizer to a folder, and opens it while `use` runs. */
async function withCheckpoint<T>(
  options: syntheticFiles.Options,
  use: (checkpoint: Checkpoint, from: string) => Promise<T>,
): Promise<T> {
  const from = await mkdtemp(join(root, "checkpoint-"));
  const files = write(options).set("tokenizer.json", "{}").set("README.md", "not copied");
  for (const [name, content] of files) await writeFile(join(from, name), content);
  const checkpoint = await openCheckpoint(await directorySource(from));
  try {
    return await use(checkpoint, from);
  } finally {
    await checkpoint.close();
  }
}

const readJson = async (path: string): Promise<unknown> => JSON.parse(await readFile(path, "utf8"));

describe("writeModel", () => {
  it("writes a folder that transformers.js and ONNX Runtime load", async () => {
    const to = join(root, "folded");
    await withCheckpoint({ config: { ...tinyLlama, my_note: 1 } }, async (checkpoint, from) => {
      const plan = planFold(checkpoint.config, {
        keep: "1/2",
        method: "svd-w",
        dtypes: ["fp32", "fp16"],
      });
      const report = await writeModel({
        checkpoint,
        plan,
        from,
        to,
        record: ({ retained }) => ({ retained }),
      });
      expect(await readJson(join(to, "kvfold.json"))).toEqual({ format: "kvfold-1", ...report });
    });
    expect((await readdir(to)).toSorted()).toEqual([
      "README.md",
      "config.json",
      "kvfold.json",
      "onnx",
      "tokenizer.json",
    ]);
    expect((await readdir(join(to, "onnx"))).toSorted()).toEqual([
      "model.onnx",
      "model.onnx_data",
      "model_delta.onnx",
      "model_fp16.onnx",
      "model_fp16.onnx_data",
      "model_fp16_delta.onnx",
      "model_fp16_policy.onnx",
      "model_policy.onnx",
    ]);
    expect(await readJson(join(to, "config.json"))).toEqual({
      ...tinyLlama,
      my_note: 1,
      num_key_value_heads: 2,
      head_dim: 16,
      "transformers.js_config": {
        dtype: "fp32",
        kv_cache_dtype: { fp16: "float16" },
        use_external_data_format: { "model.onnx": 1, "model_fp16.onnx": 1 },
      },
    });
    const session = await nodeProvider().createSession({ path: join(to, "onnx", "model.onnx") });
    expect((await createCausalLM(session).forward([1, 2, 3])).rows).toBe(3);
    await session.dispose();
  });

  it("settles a budget first, and claims no shape that only some layers have", async () => {
    const to = join(root, "folded");
    await withCheckpoint({ config: tinyLlama }, async (checkpoint, from) => {
      const options = { keep: "1/2", method: "svd-w", budget: "lorc-progressive" };
      const plan = planFold(checkpoint.config, { ...options, keySpan: 4, valueSpan: 4 });
      const report = await writeModel({ checkpoint, plan, from, to, record: () => ({}) });
      expect(report.plan).toMatchObject({ settled: true, cacheBytesPerToken: plan.cacheBytesPerToken });
      expect(await readJson(join(to, "kvfold.json"))).toEqual({ format: "kvfold-1", plan: report.plan });
    });
    expect(await readJson(join(to, "config.json"))).toMatchObject(tinyLlama);
    const session = await nodeProvider().createSession({ path: join(to, "onnx", "model.onnx") });
    const sizes = readCacheLayout(session).layers.map(({ key, value }) => [
      key!.heads,
      key!.size,
      value!.size,
    ]);
    expect(sizes).toEqual([
      [1, 56, 56],
      [1, 8, 8],
    ]);
    await session.dispose();
  });

  it("leaves BLOOM's head count alone: its config knows no KV heads", async () => {
    const to = join(root, "folded");
    await withCheckpoint({ config: tinyBloom }, async (checkpoint, from) => {
      const plan = planFold(checkpoint.config, { keep: "1/2", method: "svd-w" });
      await writeModel({ checkpoint, plan, from, to, record: () => ({}) });
    });
    expect(await readJson(join(to, "config.json"))).toMatchObject(tinyBloom);
    expect(await readJson(join(to, "config.json"))).not.toHaveProperty("num_key_value_heads");
  });

  it("writes a checkpoint, which opens again", async () => {
    const to = join(root, "folded");
    // As transformers 5 writes it: the output's type may be another, and has the older name.
    await withCheckpoint({ config: { ...tinyLlama, dtype: "bfloat16" } }, async (checkpoint, from) => {
      const plan = planFold(checkpoint.config, { keep: "1/2", method: "mean", formats: ["hf"] });
      await writeModel({ checkpoint, plan, from, to, record: () => ({}) });
    });
    expect((await readdir(to)).toSorted()).toEqual([
      "README.md",
      "config.json",
      "kvfold.json",
      "model.safetensors",
      "tokenizer.json",
    ]);
    const written = await openCheckpoint(await directorySource(to));
    expect(written.config.fields).toMatchObject({ num_key_value_heads: 2, torch_dtype: "float32" });
    expect(written.config.fields).not.toHaveProperty("dtype");
    expect(await written.read("model.layers.1.self_attn.k_proj.weight", [32, 32])).toHaveLength(1024);
    await written.close();
  });

  it("writes both formats side by side", async () => {
    const to = join(root, "folded");
    await withCheckpoint({ config: tinyLlama }, async (checkpoint, from) => {
      const options = { keep: "1/2", method: "mean", formats: ["onnx", "hf"] } as const;
      const plan = planFold(checkpoint.config, { ...options, dtypes: ["q4", "fp16"] });
      await writeModel({ checkpoint, plan, from, to, record: () => ({}) });
    });
    expect(await readJson(join(to, "config.json"))).toMatchObject({
      "transformers.js_config": {
        dtype: "q4",
        use_external_data_format: { "model_q4.onnx": 1, "model_fp16.onnx": 1 },
      },
    });
    expect((await readdir(to)).toSorted()).toEqual([
      "README.md",
      "config.json",
      "hf",
      "kvfold.json",
      "onnx",
      "tokenizer.json",
    ]);
    expect((await readdir(join(to, "hf"))).toSorted()).toEqual([
      "config.json",
      "model.safetensors",
      "tokenizer.json",
    ]);
    expect(await readJson(join(to, "hf", "config.json"))).toMatchObject({ torch_dtype: "float16" });
    expect(await readJson(join(to, "hf", "config.json"))).not.toHaveProperty("transformers\\.js_config");
  });

  it("writes the same bytes again", async () => {
    const digests = [];
    for (const name of ["first", "second"]) {
      const to = join(root, name);
      await withCheckpoint({ config: tinyLlama }, async (checkpoint, from) => {
        const plan = planFold(checkpoint.config, { keep: "1/2", method: "random", seed: 5 });
        await writeModel({ checkpoint, plan, from, to, record: () => ({}) });
      });
      const bytes = await Promise.all(
        ["model.onnx", "model.onnx_data"].map((file) => readFile(join(to, "onnx", file))),
      );
      digests.push(bytes.map((part) => createHash("sha256").update(part).digest("hex")));
    }
    expect(digests[0]).toEqual(digests[1]);
  });

  it("says in the model what was done to it, and puts its weights outside", async () => {
    const to = join(root, "folded");
    await withCheckpoint({ config: tinyLlama }, async (checkpoint, from) => {
      const plan = planFold(checkpoint.config, { keep: "1/2", method: "svd-w" });
      await writeModel({ checkpoint, plan, from, to, record: () => ({}) });
    });
    const bytes = await readFile(join(to, "onnx", "model.onnx"));
    expect(bytes.includes("method svd-w, keep 1/2")).toBe(true);
    const table = readModel(bytes).initializers.get("model.embed_tokens.weight");
    expect(table?.location).toMatchObject({ path: "model.onnx_data", byteLength: 4 * 61 * 32 });
  });
});

describe("writeModel with a budget that measures attention", () => {
  it.each([
    ["fewer windows than attention is measured on", 3],
    ["more", 20],
  ])("measures it once and folds to the same bytes, %s", async (_, count) => {
    const windows = randomWindows(count, 16, { vocabulary: 61 });
    await withCheckpoint({ config: tinyLlama }, async (checkpoint, from) => {
      const { provider, graphs } = attentionSpy(oneThreadProvider());
      const given = { checkpoint, from, provider, windows, record: () => ({}) };
      const weightsOf = async (plan: FoldPlan, to: string) => {
        await writeModel({ ...given, plan, to: join(root, to) });
        return readFile(join(root, to, "onnx", "model.onnx_data"));
      };
      const asked = planFold(checkpoint.config, { keep: "1/2", method: "anchored" });
      const once = await weightsOf(asked, "once");
      expect(graphs()).toBe(checkpoint.config.shape.layers);
      const settled = await allocateBudget({ ...given, plan: asked });
      const again = await weightsOf(settled, "again");
      expect(graphs()).toBe(3 * checkpoint.config.shape.layers);
      expect(once.equals(again)).toBe(true);
    });
  });
});

/** A provider that counts the graphs that measure what keys meet. */
function attentionSpy(provider: SessionProvider) {
  let count = 0;
  const spied: SessionProvider = {
    ...provider,
    async createSession(source, options) {
      const session = await provider.createSession(source, options);
      if (session.outputs.some(({ name }) => name.startsWith("queriesAtKeys"))) count++;
      return session;
    },
  };
  return { provider: spied, graphs: () => count };
}

describe("writeModel that fails", () => {
  it("midway in writing rejects, and a discarded folder leaves nothing", async () => {
    const target = join(root, "folded");
    await withCheckpoint({ config: tinyLlama }, async (checkpoint, from) => {
      const pending = await createPendingFolder(target);
      const plan = planFold(checkpoint.config, { keep: "1/2", method: "svd-w" });
      // The weights' file cannot be opened: something of that name is there already.
      await mkdir(join(pending.path, "onnx", "model.onnx_data"), { recursive: true });
      const writing = writeModel({ checkpoint, plan, from, to: pending.path, record: () => ({}) });
      await expect(writing).rejects.toThrow(/model\.onnx_data: weights could not be written \(EEXIST/);
      await pending.discard();
    });
    expect((await readdir(root)).filter((name) => name.includes("folded"))).toEqual([]);
  });

  it("for want of calibration text says so", async () => {
    await withCheckpoint({ config: tinyLlama }, async (checkpoint, from) => {
      const plan = planFold(checkpoint.config, { keep: "1/2", method: "paper" });
      const writing = writeModel({ checkpoint, plan, from, to: join(root, "folded"), record: () => ({}) });
      await expect(writing).rejects.toThrow(
        expect.objectContaining({
          code: "insufficient-data",
          message: "method paper needs calibration text; give token windows",
        }),
      );
    });
  });
});
