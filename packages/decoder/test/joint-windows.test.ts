import { gaussians, Tensor } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { emitAttended } from "../src/graph/emit-attention.js";
import { windowContext, windowGraph } from "../src/graph/window-graph.js";
import { loadBlock, type ModelConfig } from "../src/index.js";
import type { AttentionWeights, BlockWeights } from "../src/model/decoder-weights.js";
import { withModel } from "./support/export-model.js";
import { familyNames, openFamily } from "./support/families.js";
import { withJointLatent } from "./support/joint-layers.js";

const LENGTH = 19;
/** More than one block of queries. */
const LONG = 300;

describe("a joint latent of full rank attends over a window as the unfolded layer does", () => {
  it.each(familyNames)("%s", async (name) => {
    const checkpoint = await openFamily(name);
    const block = await loadBlock(checkpoint, 0);
    const { attention } = block;
    const pairs = (attention.rope?.rotaryDim ?? 0) / 2;
    const mixed = Array.from({ length: pairs }, (_, pair) => 2 ** Math.min(pair, 6));
    const folded = [
      withJointLatent(attention, { span: attention.kvHeads, chunks: Array<number>(pairs).fill(1) }),
      withJointLatent(attention, { span: 1, chunks: chunksFor(attention, mixed) }),
    ];
    const errors = await errorsOf(checkpoint.config, block, folded, LENGTH);
    for (const error of errors) expect(error).toBeLessThan(1e-5);
  });
});

describe("a joint latent over a window", () => {
  it.each([
    ["with chunks of one size", 4],
    ["with chunks longer than the window", 512],
  ])("attends %s", async (_, slots) => {
    const { config, block } = await llama();
    const chunks = block.attention.rope && Array<number>(block.attention.rope.rotaryDim / 2).fill(slots);
    const folded = withJointLatent(block.attention, { span: 2, chunks: chunks! });
    expect((await errorsOf(config, block, [folded], LENGTH))[0]).toBeLessThan(1e-5);
  });

  it("attends a block of queries at a time", async () => {
    const { config, block } = await llama();
    const chunks = Array.from({ length: block.attention.headDim / 2 }, (_, pair) => 2 ** pair);
    const folded = withJointLatent(block.attention, { span: 2, chunks });
    expect((await errorsOf(config, block, [folded], LONG))[0]).toBeLessThan(1e-5);
  });

  it("encodes keys by their projection", async () => {
    const { config, block } = await llama();
    const chunks = Array<number>(block.attention.headDim / 2).fill(1);
    const folded = withJointLatent(block.attention, { span: 2, chunks, encodedByProjection: true });
    expect((await errorsOf(config, block, [folded], LENGTH))[0]).toBeLessThan(1e-5);
  });
});

async function llama() {
  const checkpoint = await openFamily("llama");
  return { config: checkpoint.config, block: await loadBlock(checkpoint, 0) };
}

/** Keys that are normalised after their rotation cannot be turned before. */
const chunksFor = ({ headNorm }: AttentionWeights, chunks: readonly number[]): readonly number[] =>
  headNorm === "after-rotation" ? chunks.map(() => 1) : chunks;

/** Largest differences of head outputs from those of the unfolded layer, over the largest of these. */
async function errorsOf(
  config: ModelConfig,
  block: BlockWeights,
  folded: readonly AttentionWeights[],
  length: number,
): Promise<number[]> {
  const layers = [block.attention, ...folded];
  const size = config.shape.hiddenSize;
  const graph = windowGraph(config, length, ({ e, input, output }) => {
    const x = input("x");
    for (const [index, attention] of layers.entries()) {
      const at = e.at(`layer${index}`);
      const context = windowContext(at, { length });
      const { headOutputs } = emitAttended(at, x, attention, context);
      output(`layer${index}`, headOutputs, attention.output.inputs);
    }
  });
  const x = new Tensor("float32", Float32Array.from({ length: length * size }, gaussians(3)), [
    1,
    length,
    size,
  ]);
  return withModel(graph, async (session) => {
    const outputs = await session.run(
      { x },
      layers.map((_, index) => `layer${index}`),
    );
    const [expected, ...others] = layers.map((_, index) => outputs[`layer${index}`]!.data as Float32Array);
    const largest = expected!.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);
    return others.map(
      (values) =>
        values.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected![i]!)), 0) / largest,
    );
  });
}
