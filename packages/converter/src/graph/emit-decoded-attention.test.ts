import { loadBlock } from "@kvfold/decoder";
import { emitAttended, emitPerHead, windowContext, windowGraph } from "@kvfold/decoder/graph";
import { plainProducts } from "@kvfold/linalg";
import { gaussians, type ModelSource, Tensor } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { withJointLatent } from "../../../decoder/test/support/joint-layers.js";
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
      const positions = windowContext(e, window, "plain");
      output("latent", emitAttended(e.at("latent"), x, attention, positions).headOutputs, width);
      output("decoded", emitDecodedAttention(e.at("decoded"), x, attention, positions), width);
    });
    const { latent, decoded } = await runOn(graph, config.shape.hiddenSize, ["latent", "decoded"]);
    // Two products of float32 more, of at most 64 terms.
    expect(largestDifference(decoded!, latent!) / largest(latent!)).toBeLessThan(1e-5);
  });

  it("reads joint latents in the directions that are asked for", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const { config } = checkpoint;
    const block = await loadBlock(checkpoint, 0);
    const attention = withJointLatent(block.attention, { span: 2, chunks: Array<number>(8).fill(4) });
    const { heads, headDim } = attention;
    const size = 5;
    const next = gaussians(6);
    const directions = { size, matrices: Float32Array.from({ length: heads * headDim * size }, next) };
    const graph = windowGraph(config, LENGTH, ({ e, input, output }) => {
      const x = input("x");
      const context = windowContext(e, { config, weights: { ...block, attention }, length: LENGTH });
      const all = emitAttended(e.at("all"), x, attention, context).headOutputs;
      const matrices = e.floats("directions", [heads, headDim, size], directions.matrices);
      output(
        "expected",
        emitPerHead(e.at("expected"), all, { heads, size: headDim }, matrices, size),
        heads * size,
      );
      const read = emitDecodedAttention(e.at("read"), x, attention, context, directions);
      output("read", read, heads * size);
    });
    const { expected, read } = await runOn(graph, config.shape.hiddenSize, ["expected", "read"]);
    // The product of the matrices is rounded to float32 once more.
    expect(largestDifference(read!, expected!) / largest(expected!)).toBeLessThan(1e-5);
  });
});
