import type { Checkpoint } from "@kvfold/decoder";
import { type CacheSlot, createCausalLM, generate, readCacheLayout } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { referenceLogits } from "../../decoder/test/reference/decoder.js";
import {
  syntheticCheckpoint,
  tinyBloom,
  tinyLlama,
} from "../../decoder/test/reference/synthetic-checkpoint.js";
import { budgets, type FoldPlan, methods, planFold } from "../src/index.js";
import { foldInMemory, withSession } from "./support/fold-in-memory.js";
import { LOGIT_TOLERANCE, largestDifference, randomWindows } from "./support/numbers.js";

const windows = randomWindows(2, 16, { vocabulary: 61 });
/** Budgets that any method takes; for `power` it has to know what its ranks save. */
const sharing = budgets.filter(({ name }) => name !== "uniform" && name !== "power");
const free = methods.filter(({ standardShape }) => !standardShape);
const deepLlama = { ...tinyLlama, num_hidden_layers: 3 };

/** All methods on grouped queries; the grids of other inputs need no more than one method with and one without text. */
const inputs = [
  [
    "Llama with query groups",
    { ...tinyLlama, num_attention_heads: 8, num_key_value_heads: 4 },
    free.map(({ name }) => name),
  ],
  ["Llama of three layers", deepLlama, ["svd-w", "latent"]],
  ["BLOOM", tinyBloom, ["svd-w", "latent", "paper"]],
] as const;

const combinations = [...sharing, ...budgets.filter(({ name }) => name === "power")].flatMap((budget) =>
  inputs.flatMap(([name, config, named]) =>
    (budget.name === "power" ? ["anchored"] : named).map((method) => ({
      budget: budget.name,
      method,
      name,
      config,
    })),
  ),
);

/** Numbers that the cache takes per token, as its graph declares it. */
function declaredNumbers(session: Parameters<typeof readCacheLayout>[0]): number {
  const { layers } = readCacheLayout(session);
  const sizeOf = ({ heads, size }: CacheSlot) => heads * size;
  return layers.reduce((sum, { key, value }) => sum + sizeOf(key!) + sizeOf(value!), 0);
}

const ranksOf = ({ layers }: FoldPlan) => layers.map(({ keys }) => keys.rank);

describe("every budget with every method", () => {
  it.each(combinations)("$budget of $method runs $name within the total", async (combination) => {
    const { budget, method, config } = combination;
    const checkpoint = await syntheticCheckpoint({ config });
    const options = { keep: "1/2", method, budget, heal: "none", windows } as const;
    const folded = await foldInMemory(checkpoint, options);
    const uniform = planFold(checkpoint.config, { ...options, budget: "uniform" });
    expect(folded.plan).toMatchObject({ budget, settled: true, attention: uniform.attention });
    expect(folded.plan.cacheBytesPerToken).toEqual(uniform.cacheBytesPerToken);
    await withSession(folded, async (session) => {
      expect(4 * declaredNumbers(session)).toBe(folded.plan.cacheBytesPerToken.after);
      const { data } = await createCausalLM(session).forward(windows[0]!);
      expect(data.every(Number.isFinite)).toBe(true);
    });
  });
});

describe("layers of different ranks", () => {
  it.each([
    ["Llama", tinyLlama],
    ["BLOOM", tinyBloom],
  ])("heal as others do (%s)", async (_, config) => {
    const checkpoint = await syntheticCheckpoint({ config });
    const options = { keep: "1/2", method: "latent", budget: "lorc-progressive", windows } as const;
    const { plan } = await foldInMemory(checkpoint, options);
    expect(plan.heal).toBe("both");
    expect(new Set(ranksOf(plan)).size).toBe(2);
  });

  it("reproduce the model where everything is kept", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const options = { keep: "1", method: "svd-a", heal: "none", windows } as const;
    const expected = (await referenceLogits(checkpoint, windows[0]!)).data;
    for (const { name } of sharing) {
      const folded = await foldInMemory(checkpoint, { ...options, budget: name });
      const logits = await withSession(
        folded,
        async (session) => (await createCausalLM(session).forward(windows[0]!)).data,
      );
      expect(largestDifference(logits, expected)).toBeLessThan(LOGIT_TOLERANCE);
    }
  });
});

describe("a layer whose attention hardly matters", () => {
  it.each([
    ["knapsack", "svd-a"],
    ["eigen-threshold", "svd-a"],
    ["power", "anchored"],
  ])("gets least of %s", async (budget, method) => {
    const checkpoint = muteAttention(await syntheticCheckpoint({ config: deepLlama }), 1);
    const spans = { keySpan: 4, valueSpan: 4 };
    // Its own text, since nothing can be lost of predictions that are wrong anyway.
    const text = await ownText(checkpoint);
    const options = { keep: "3/8", method, ...spans, budget, windows: text };
    const [first, muted, last] = ranksOf((await foldInMemory(checkpoint, options)).plan);
    expect(muted).toBeLessThan(first!);
    expect(muted).toBeLessThan(last!);
  });
});

/** The checkpoint with `W_O` of one layer near zero. */
const muteAttention = (checkpoint: Checkpoint, layer: number): Checkpoint => ({
  ...checkpoint,
  read: async (name, shape) => {
    const values = await checkpoint.read(name, shape);
    return name.includes(`layers.${layer}.self_attn.o_proj`) ? values.map((value) => 1e-3 * value) : values;
  },
});

/** Windows drawn from the model itself. */
async function ownText(checkpoint: Checkpoint): Promise<readonly Int32Array[]> {
  const whole = await foldInMemory(checkpoint, { keep: "1" });
  return withSession(whole, async (session) => {
    const drawn: Int32Array[] = [];
    for (const seed of [1, 2, 3, 4]) {
      const tokens: number[] = [seed];
      const options = { maxNewTokens: 47, temperature: 1, seed };
      for await (const token of generate(createCausalLM(session), [seed], options)) tokens.push(token);
      drawn.push(Int32Array.from(tokens));
    }
    return drawn;
  });
}
