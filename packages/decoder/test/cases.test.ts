import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { openCheckpoint } from "../src/index.js";
import { directorySource } from "../src/node.js";
import { exportModel, modelLogits } from "./support/export-model.js";

/** A first token, and the 48 that the figures in testdata/cases/README.md are about. */
const TOKENS = [
  2, 0, 1, 14, 3, 7, 27, 34, 37, 5, 23, 10, 1, 0, 0, 3, 13, 1, 3, 11, 5, 21, 21, 15, 8, 1, 10, 12, 4, 4, 8, 7,
  24, 12, 29, 16, 1, 0, 24, 7, 29, 46, 11, 21, 5, 0, 9, 13, 2,
];

const open = async (name: string) =>
  openCheckpoint(await directorySource(fileURLToPath(new URL(`../testdata/cases/${name}`, import.meta.url))));

describe("a checkpoint with a peculiarity", () => {
  it.each([
    ["eps-missing", 6.10213],
    ["quant-null", 6.23839],
    ["longrope-short", 6.25724],
  ])("%s is read as transformers reads it", async (name, nll) => {
    const checkpoint = await open(name);
    expect(checkpoint.notices).toEqual([]);
    const logits = await modelLogits(await exportModel(checkpoint), TOKENS.slice(0, -1));
    // The figures have five digits after the point.
    expect(meanNll(logits, TOKENS.slice(1))).toBeCloseTo(nll, 5);
    await checkpoint.close();
  });

  it.each([
    [
      "unknown-tensors",
      "unsupported-model",
      /Llama has no .*\.q_norm\.weight, .*\.k_norm\.weight, but the checkpoint does/,
    ],
    ["lfs-pointer", "malformed-checkpoint", /model\.safetensors: .*is a Git LFS pointer; run git lfs pull/],
  ])("%s is refused", async (name, code, message) => {
    await expect(open(name)).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });
});

/** Mean of `-log softmax(logits)[target]` over positions. */
function meanNll(logits: Float32Array, targets: readonly number[]): number {
  const vocabulary = logits.length / targets.length;
  const nlls = targets.map((target, position) => {
    const row = logits.subarray(position * vocabulary, (position + 1) * vocabulary);
    const largest = Math.max(...row);
    const total = row.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
    return largest + Math.log(total) - row[target]!;
  });
  return nlls.reduce((sum, nll) => sum + nll, 0) / nlls.length;
}
