import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readModel } from "@kvfold/onnx";
import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "./reference/synthetic-checkpoint.js";
import { exportModel } from "./support/export-model.js";

/** Query heads, KV heads, and the dimensions that queries are stacked in. */
const cases = [
  [4, 4, [0, 4, -1, 16]],
  [4, 2, [0, 2, 2, -1, 16]],
  [6, 2, [0, 2, -1, 16]],
  [4, 1, [0, 1, -1, 16]],
] as const;

describe.each(["delta", "policy"] as const)(
  "scores of cached keys in a %s graph, as ONNX Runtime runs them",
  (form) => {
    it.each(cases)(
      "have no factor, and keep two readers of a head apart: %i on %i",
      async (heads, kvHeads, dims) => {
        const changes = { num_attention_heads: heads, num_key_value_heads: kvHeads };
        const nodes = await optimisedNodes(form, changes);
        const scores = nodes.find(({ name }) => name.includes("/layers.0/attn/scores/past/MatMul"))!;
        expect(scores).toMatchObject({
          operator: "FusedMatMul",
          attributes: { transB: 1, alpha: { float: 1 } },
        });
        const query = nodes.find(({ outputs }) => outputs.includes(scores.inputs[0]!))!;
        // The name of the constant is the shape.
        expect(query.inputs[1]).toBe(`constants/int64/[${dims.join(",")}]`);
      },
    );
  },
);

/** The nodes of a tiny Llama with these changes, after ONNX Runtime has rewritten it. */
async function optimisedNodes(form: "delta" | "policy", changes: Readonly<Record<string, unknown>>) {
  const checkpoint = await syntheticCheckpoint({ config: { ...tinyLlama, ...changes } });
  const model = await exportModel(checkpoint, { form });
  if (!("bytes" in model)) throw new TypeError("expected a model in memory");
  const folder = await mkdtemp(join(tmpdir(), "kvfold-optimised-"));
  try {
    const optimizedModelFilePath = join(folder, "model.onnx");
    const externalData = [...(model.externalData ?? [])];
    const options = { externalData, optimizedModelFilePath, logSeverityLevel: 3 } as const;
    await (await ort.InferenceSession.create(model.bytes, options)).release();
    return readModel(new Uint8Array(await readFile(optimizedModelFilePath))).nodes;
  } finally {
    await rm(folder, { recursive: true });
  }
}
