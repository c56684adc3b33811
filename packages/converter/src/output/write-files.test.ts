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
      "config.json",
      "kvfold.json",
      "onnx/model.onnx",
      "onnx/model.onnx_data",
      "tokenizer.json",
    ]);
    expect(files.get("tokenizer.json")).toBe(2);
    expect(open()).toBe(0);
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
});
