import { loadBlock } from "@kvfold/decoder";
import { emitAttended, windowContext, windowGraph } from "@kvfold/decoder/graph";
import { plainProducts } from "@kvfold/linalg";
import { gaussians, type ModelSource, Tensor } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { largestDifference } from "../../test/support/numbers.js";
import { foldLayer } from "../fold/fold-layer.js";
import { layerContext } from "../fold/group.js";
import { planFold } from "../plan/plan-fold.js";
import { emitDecodedAttention, hasWideKeys } from "./emit-decoded-attention.js";

const LENGTH = 24;

/** Outputs of a window graph for random hidden states of `width` numbers. */
async function runOn(graph: ModelSource, width: number, names: readonly string[]) {
  const data = Float32Array.from({ length: LENGTH * width }, gaussians(4));
  const session = await nodeProvider().createSession(graph);
  const outputs = await session.run({ x: new Tensor("float32", data, [1, LENGTH, width]) }, names);
  await session.dispose();
  return Object.fromEntries(names.map((name) => [name, outputs[name]!.data as Float32Array]));
}

const largest = (values: Float32Array): number =>
  values.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);

describe("emitDecodedAttention", () => {
  it.each([
    ["one group of four KV heads", { num_key_value_heads: 4, num_attention_heads: 4 }],
    ["two groups of four, each KV head read twice", { num_key_value_heads: 8, num_attention_heads: 16 }],
  ])("attends as the folded layer does, to decoded keys: %s", async (_, heads) => {
    const checkpoint = await syntheticCheckpoint({ config: { ...tinyLlama, ...heads } });
    const { config } = checkpoint;
    const plan = planFold(config, { keep: "1/2", method: "random", keySpan: 4, valueSpan: 4 });
    const block = await loadBlock(checkpoint, 0);
    const context = layerContext(plan, { layer: 0, attention: block.attention, moments: {} });
    const { attention } = await foldLayer(
      { ...context, method: plan.method, plan: plan.layers[0]! },
      plainProducts,
    );
    expect(hasWideKeys(attention)).toBe(true);
    const width = attention.output.inputs;
    const window = { config, weights: { ...block, attention }, length: LENGTH };
    const graph = windowGraph(config, LENGTH, ({ e, input, output }) => {
      const x = input("x");
      const positions = windowContext(e, window);
      output("latent", emitAttended(e.at("latent"), x, attention, positions).headOutputs, width);
      output("decoded", emitDecodedAttention(e.at("decoded"), x, attention, positions), width);
    });
    const { latent, decoded } = await runOn(graph, config.shape.hiddenSize, ["latent", "decoded"]);
    // Two products of float32 more, of at most 64 terms.
    expect(largestDifference(decoded!, latent!) / largest(latent!)).toBeLessThan(1e-5);
  });
});
