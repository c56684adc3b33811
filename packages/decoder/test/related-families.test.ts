/** Families without a golden model of their own: their weights are made of one that has, and must give its logits. */

import { describe, expect, it } from "vitest";
import { loadBlock, loadEmbedding } from "../src/index.js";
import { exportModel, modelLogits } from "./support/export-model.js";
import { readFields, readReference } from "./support/families.js";
import { arcee, type Fields, relatedModel, relations } from "./support/related-families.js";
import { mapTensors, openTensors, readTensors } from "./support/tensors.js";

describe("a family that is another in disguise gives that one's golden logits", () => {
  it.each(Object.entries(relations))("%s", async (name, relation) => {
    const { fields, tensors } = await relatedModel(name.split(",")[0]!, relation);
    const checkpoint = await openTensors(fields, tensors);
    expect(checkpoint.notices).toEqual([]);
    const { ids, last } = readReference(relation.of).sequences[0]!;
    const logits = await modelLogits(await exportModel(checkpoint, { maxPositions: 64 }), ids);
    const expected = last.flat();
    const tail = logits.subarray(logits.length - expected.length);
    const error = Math.max(...expected.map((value, index) => Math.abs(value - tail[index]!)));
    // As for the golden models: float32 in another order of operations.
    expect(error / Math.max(...expected.map(Math.abs))).toBeLessThan(1e-4);
  });
});

describe("what such a family adds", () => {
  const describeFamily = async (of: string, fields: Fields) =>
    (await openTensors({ ...readFields(of), ...fields }, await readTensors(of))).config;

  it("olmo3: windows in three of four layers, whose rotation is not scaled", async () => {
    const scaling = { rope_type: "linear", factor: 4 };
    const fields = {
      model_type: "olmo3",
      rope_scaling: scaling,
      rope_parameters: undefined,
      sliding_window: 5,
    };
    const { blocks } = await describeFamily("olmo2", {
      ...fields,
      layer_types: ["sliding_attention", "full_attention"],
    });
    expect(blocks.map(({ attention }) => [attention.window, attention.rope?.ropeType])).toEqual([
      [5, "default"],
      [undefined, "linear"],
    ]);
    const { blocks: implicit } = await describeFamily("olmo2", fields);
    expect(implicit.map(({ attention }) => attention.window)).toEqual([5, 5]);
  });

  it("cohere2: full attention without rotation", async () => {
    const fields = {
      model_type: "cohere2",
      use_qk_norm: undefined,
      sliding_window: 5,
      sliding_window_pattern: 2,
    };
    const { blocks } = await describeFamily("cohere", fields);
    expect(blocks.map(({ attention }) => [attention.window, attention.rope?.theta])).toEqual([
      [5, 500_000],
      [undefined, undefined],
    ]);
  });

  it("arcee: an MLP that is gated by itself", async () => {
    const { fields, tensors } = await relatedModel("arcee", arcee);
    const doubled = mapTensors(tensors, (name, tensor) => [
      [name, tensor],
      ...(name.includes("up_proj") ? [[name.replace("up_proj", "gate_proj"), tensor] as const] : []),
    ]);
    // relu(x)^2 = relu(x) x.
    const squared = await openTensors(fields, tensors);
    const gated = await openTensors({ ...fields, model_type: "llama", hidden_act: "relu" }, doubled);
    const { ids } = readReference("llama-yarn").sequences[0]!;
    const [a, b] = [
      await modelLogits(await exportModel(squared), ids),
      await modelLogits(await exportModel(gated), ids),
    ];
    const largest = Math.max(...b.map(Math.abs));
    const error = Math.max(...a.map((value, index) => Math.abs(value - b[index]!)));
    expect(error / largest).toBeLessThan(1e-5);
  });

  it("gemma: norms and embeddings come out of the loader as Llama's", async () => {
    const gemma = relations.gemma!;
    const golden = await readTensors(gemma.of);
    const { fields, tensors } = await relatedModel("gemma", gemma);
    const checkpoint = await openTensors(fields, tensors);
    const { attentionNorms } = await loadBlock(checkpoint, 0);
    expect(attentionNorms.input!.weight).toEqual(golden.get("model.layers.0.input_layernorm.weight")!.data);
    expect((await loadEmbedding(checkpoint)).scale).toBe(8);
  });
});
