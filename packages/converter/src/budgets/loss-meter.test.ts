import { onnxOutput } from "@kvfold/decoder";
import { createCausalLM, perplexity } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import {
  syntheticCheckpoint,
  tinyBloom,
  tinyLlama,
} from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { memorySink } from "../../../decoder/test/support/memory-sink.js";
import { modelSource } from "../../test/support/fold-in-memory.js";
import { randomWindows } from "../../test/support/numbers.js";
import { inlineBlockMath } from "../fold/block-math.js";
import { foldModel } from "../fold/fold-model.js";
import { findMethod } from "../methods/index.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import { planFold } from "../plan/plan-fold.js";
import type { TextBudgetContext } from "./budget.js";
import { createLossMeter } from "./loss-meter.js";
import { originalLayers } from "./original-layers.js";
import { rankGrid } from "./rank-grid.js";

const windows = randomWindows(3, 20, { vocabulary: 61 });

const models = [
  ["Llama", { ...tinyLlama, num_hidden_layers: 3 }],
  [
    "Llama with a tied head and query groups",
    { ...tinyLlama, tie_word_embeddings: true, num_key_value_heads: 2 },
  ],
  ["BLOOM", tinyBloom],
] as const;

async function setUp(config: Readonly<Record<string, unknown>>) {
  const checkpoint = await syntheticCheckpoint({ config });
  const plan = planFold(checkpoint.config, { keep: "1/2", method: "svd-w" });
  const context: TextBudgetContext = {
    checkpoint,
    plan,
    method: findMethod(plan.method),
    grid: rankGrid(plan, checkpoint.config.shape),
    windows,
    provider: nodeProvider(),
    hiddenStates: undefined,
    moments: undefined,
    math: inlineBlockMath,
    onLayer() {},
    signal: undefined,
  };
  return context;
}

/** Mean nll of the whole model with these layers, by the runtime's own evaluation of its decoder graph. */
async function nllOf({ checkpoint, plan }: TextBudgetContext, layers: FoldPlan["layers"]): Promise<number> {
  const folded = { ...plan, layers };
  const files = new Map<string, Uint8Array>();
  const { config } = checkpoint;
  const output = onnxOutput({ config, ...folded, dtype: "fp32", open: memorySink(files) });
  await foldModel({ checkpoint, plan: folded, outputs: [output] });
  const session = await nodeProvider().createSession(modelSource({ files }));
  try {
    return (await perplexity(createCausalLM(session), windows)).nll;
  } finally {
    await session.dispose();
  }
}

describe("createLossMeter", () => {
  it.each(models)("measures what the runtime measures of %s with one layer folded", async (_, config) => {
    const context = await setUp(config);
    const { grid } = context;
    const meter = await createLossMeter(context);
    for await (const layer of originalLayers(context)) {
      const units = [1, grid.uniform];
      const losses = await meter.measure(layer, [
        async () => layer.block,
        ...units.map((count) => () => layer.fold(grid.layer(count))),
      ]);
      const expected = await Promise.all(
        [grid.full, ...units].map((count) =>
          nllOf(
            context,
            context.plan.layers.map((_plan, index) => grid.layer(index === layer.layer ? count : grid.full)),
          ),
        ),
      );
      // Losses of 3 to 10 nats in float32 either way: 1e-4 is a margin of a hundred.
      for (const [index, loss] of losses.entries())
        expect(Math.abs(loss - expected[index]!)).toBeLessThan(1e-4);
      expect(losses[1]).not.toBeCloseTo(losses[0]!, 3);
    }
  });

  it("makes a variant when it is run, after the one before", async () => {
    const context = await setUp(tinyLlama);
    let runs = 0;
    const provider = nodeProvider();
    const counting: TextBudgetContext = {
      ...context,
      provider: {
        ...provider,
        createSession: (...options) => {
          runs++;
          return provider.createSession(...options);
        },
      },
    };
    const meter = await createLossMeter(counting);
    for await (const layer of originalLayers(context)) {
      const runsBefore: number[] = [];
      const variant = async () => {
        runsBefore.push(runs);
        return layer.block;
      };
      runs = 0;
      await meter.measure(layer, [variant, variant, variant]);
      expect(runsBefore).toEqual([0, 1, 2]);
    }
  });
});
