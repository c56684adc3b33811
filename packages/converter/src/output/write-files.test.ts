import type { FolderSource, ModelTarget } from "@kvfold/decoder";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { planFold } from "../plan/plan-fold.js";
import { writeFiles } from "./write-files.js";

/** A folder with a tokenizer. */
const source: FolderSource = {
  name: "memory",
  readText: async () => undefined,
  openBytes: async (path) =>
    path === "tokenizer.json"
      ? { byteLength: 2, read: async () => new TextEncoder().encode("{}") }
      : undefined,
};

/** A target in memory that counts the files that are open. */
function memory() {
  const files = new Map<string, number>();
  let open = 0;
  const target: ModelTarget = {
    async open(path) {
      open++;
      files.set(path, 0);
      return {
        write: async (bytes) => void files.set(path, files.get(path)! + bytes.byteLength),
        close: async () => {
          open--;
        },
      };
    },
  };
  return { target, files, open: () => open };
}

describe("writeFiles", () => {
  it("writes a model to any target, without a disk", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const plan = planFold(checkpoint.config, { keep: "1/2", method: "svd-w" });
    const { target, files, open } = memory();
    const report = await writeFiles({ checkpoint, plan, source, target, record: () => ({ by: "test" }) });
    expect(report.plan).toBe(plan);
    expect([...files.keys()].toSorted()).toEqual([
      "README.md",
      "config.json",
      "kvfold.json",
      "onnx/model.onnx",
      "onnx/model.onnx_data",
      "onnx/model_delta.onnx",
      "onnx/model_policy.onnx",
      "tokenizer.json",
    ]);
    expect(files.get("tokenizer.json")).toBe(2);
    expect(open()).toBe(0);
  });

  it("refuses a tokenizer that llama.cpp does not have before any work, and leaves no file open", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const plan = planFold(checkpoint.config, { keep: "1", formats: ["onnx", "gguf"] });
    const readText = async (file: string) =>
      file === "tokenizer.json" ? JSON.stringify({ model: { type: "Unigram" } }) : undefined;
    const { target, files, open } = memory();
    const writing = writeFiles({ checkpoint, plan, source: { ...source, readText }, target });
    await expect(writing).rejects.toThrow(
      'tokenizer.json: expected a BPE model with vocab and merges for gguf, found "Unigram"; write format onnx',
    );
    expect({ files: files.size, open: open() }).toEqual({ files: 0, open: 0 });
  });

  it("says that a target takes no checkpoints", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const plan = planFold(checkpoint.config, { keep: "1", formats: ["hf"] });
    const { target } = memory();
    await expect(writeFiles({ checkpoint, plan, source, target, record: () => ({}) })).rejects.toThrow(
      expect.objectContaining({
        code: "invalid-option",
        message: "model.safetensors: no checkpoint can be written here; choose format onnx",
      }),
    );
  });

  /** A target whose checkpoints are in memory, too, and which counts those that nobody closed. */
  function withTensors({ abandon = async () => {} }: { readonly abandon?: () => Promise<void> } = {}) {
    const { target } = memory();
    let open = 0;
    const openTensors = async () => {
      open++;
      const close = async () => {
        open--;
      };
      return { add: async () => {}, finish: close, abandon: () => close().then(abandon) };
    };
    return { target: { ...target, openTensors }, open: () => open };
  }

  it("closes what it opened when the fold cannot begin", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const { target, open } = withTensors();
    const plan = planFold(checkpoint.config, { keep: "1/2", method: "commuting", formats: ["hf"] });
    // The method measures, and there is no text.
    const writing = writeFiles({ checkpoint, plan, source, target, record: () => ({}) });
    await expect(writing).rejects.toThrow(expect.objectContaining({ code: "insufficient-data" }));
    expect(open()).toBe(0);
  });

  it("closes the first format when the second cannot be opened", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const { target, open } = withTensors();
    const plan = planFold(checkpoint.config, { keep: "1/2", method: "mean", formats: ["hf"] });
    let opened = 0;
    const openTensors = () => (++opened === 2 ? Promise.reject(new Error("EMFILE")) : target.openTensors());
    const twice = { ...plan, formats: ["hf", "hf"] as const };
    const writing = writeFiles({
      checkpoint,
      plan: twice,
      source,
      target: { ...target, openTensors },
      record: () => ({}),
    });
    await expect(writing).rejects.toThrow("EMFILE");
    expect({ opened, open: open() }).toEqual({ opened: 2, open: 0 });
  });

  it("says what went wrong first, and closes all, when closing fails too", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const abandon = () => Promise.reject(new Error("closing failed"));
    const { target, open } = withTensors({ abandon });
    const plan = planFold(checkpoint.config, { keep: "1/2", method: "mean", formats: ["hf", "onnx"] });
    const full = async () => ({
      write: () => Promise.reject(new Error("ENOSPC")),
      close: async () => {},
    });
    const writing = writeFiles({
      checkpoint,
      plan,
      source,
      target: { ...target, open: full },
      record: () => ({}),
    });
    await expect(writing).rejects.toThrow("ENOSPC");
    expect(open()).toBe(0);
  });
});
