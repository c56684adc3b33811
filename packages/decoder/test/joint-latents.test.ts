import { type CausalLM, createCausalLM } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { loadBlock } from "../src/index.js";
import type { AttentionWeights } from "../src/model/decoder-weights.js";
import { referenceLogits } from "./reference/decoder.js";
import { throughJointLatents } from "./reference/joint.js";
import { syntheticCheckpoint, tinyBloom, tinyLlama } from "./reference/synthetic-checkpoint.js";
import { exportModel, withModel } from "./support/export-model.js";
import { jointBases, withJointLatent } from "./support/joint-layers.js";

const VOCABULARY = 61;
const tokensOf = (count: number) =>
  Array.from({ length: count }, (_, index) => (index * 17 + 3) % VOCABULARY);

const each = (slots: number) => Array<number>(8).fill(slots);
const byFrequency = [2, 2, 4, 8, 32, 64, 64, 128];
const grouped = { ...tinyLlama, num_key_value_heads: 2 };

interface Case {
  readonly what: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** KV heads of a latent. */
  readonly span: number;
  /** Numbers of a latent. */
  readonly rank: number;
  readonly chunks: readonly number[];
  readonly count: number;
  readonly encodedByProjection?: boolean;
}

const window = { ...tinyLlama, model_type: "mistral", sliding_window: 21 };
const oneHead = { ...tinyLlama, num_key_value_heads: 1 };
const biased = { ...grouped, model_type: "qwen2" };
const whole = { config: tinyLlama, span: 4, rank: 40 };
const halves = { config: tinyLlama, span: 2, rank: 20 };

const cases: readonly Case[] = [
  { what: "one token a chunk", ...whole, chunks: each(1), count: 20 },
  {
    what: "keys encoded by their projection",
    ...halves,
    chunks: each(1),
    count: 20,
    encodedByProjection: true,
  },
  { what: "four slots", ...whole, chunks: each(4), count: 40 },
  { what: "sixteen slots, two latents", ...halves, chunks: each(16), count: 70 },
  { what: "64 slots", ...whole, chunks: each(64), count: 150 },
  { what: "by frequency", ...whole, chunks: byFrequency, count: 150 },
  { what: "by frequency, two latents", ...halves, chunks: byFrequency, count: 70 },
  { what: "some in chunks of one token", ...whole, chunks: [1, 1, 1, 4, 8, 64, 64, 512], count: 70 },
  { what: "grouped queries", config: grouped, span: 2, rank: 24, chunks: byFrequency, count: 70 },
  {
    what: "grouped queries, a latent for each KV head",
    config: grouped,
    span: 1,
    rank: 12,
    chunks: each(8),
    count: 40,
  },
  { what: "one KV head", config: oneHead, span: 1, rank: 12, chunks: byFrequency, count: 70 },
  { what: "biases", config: biased, span: 2, rank: 24, chunks: byFrequency, count: 70 },
  { what: "a window", ...whole, config: window, chunks: byFrequency, count: 70 },
  { what: "ALiBi", config: tinyBloom, span: 3, rank: 20, chunks: [], count: 40 },
];

/** Sums of float32 against float64. */
const TOLERANCE = 1e-5;

describe("latents that lose something are read as plain loops read them", () => {
  it.each(cases)("$what", async ({ config, count, ...options }) => {
    const checkpoint = await syntheticCheckpoint({ config });
    const { chunks } = options;
    const { attention } = await loadBlock(checkpoint, 0);
    const pass = { attention, chunks, bases: jointBases(attention, options) };
    const tokens = tokensOf(count);
    const expected = await referenceLogits(checkpoint, tokens, (_, seen) => throughJointLatents(seen, pass));
    const fold = (layer: AttentionWeights) => withJointLatent(layer, options);
    for (const form of ["standard", "delta", "policy"] as const) {
      // No more positions than tokens: the empty slots of a cache lie beyond them.
      const model = await exportModel(checkpoint, { fold, form, maxPositions: count });
      const errors = await withModel(model, (session) =>
        errorsAgainst(expected.data, createCausalLM(session), tokens),
      );
      expect(Math.max(...errors)).toBeLessThan(TOLERANCE);
    }
  });
});

/** Errors of all tokens at once, and of each that is decoded after the first few. */
async function errorsAgainst(
  expected: Float32Array | Float64Array,
  lm: CausalLM,
  tokens: readonly number[],
): Promise<readonly number[]> {
  const errors = [relativeError((await lm.forward(tokens)).data, expected)];
  const state = lm.createState();
  const first = 3;
  await state.prefill(tokens.slice(0, first));
  for (const [index, id] of tokens.slice(first).entries()) {
    const row = expected.subarray((first + index) * VOCABULARY, (first + index + 1) * VOCABULARY);
    errors.push(relativeError(await state.decode(id), row));
  }
  state.dispose();
  return errors;
}

describe("joint latents in other types", () => {
  it.each([
    // Numbers of float16 have 11 bits; the errors of some dozen sums and products add up.
    ["fp16", "standard", 2e-2],
    ["fp16", "delta", 2e-2],
    // Projections alone have four bits, and those of both forms are the same.
    ["q4", "standard", TOLERANCE],
    ["q4", "delta", TOLERANCE],
  ] as const)("%s, %s graph: a step reads what a text reads", async (dtype, form, tolerance) => {
    const checkpoint = await syntheticCheckpoint({ config: grouped });
    const fold = (layer: AttentionWeights) =>
      withJointLatent(layer, { span: 2, rank: 24, chunks: byFrequency });
    const tokens = tokensOf(40);
    await withModel(
      await exportModel(checkpoint, { fold, form, dtype, maxPositions: 64 }),
      async (session) => {
        const lm = createCausalLM(session);
        const { data } = await lm.forward(tokens);
        const state = lm.createState();
        await state.prefill(tokens.slice(0, -1));
        expect(relativeError(await state.decode(tokens.at(-1)!), data.slice(-VOCABULARY))).toBeLessThan(
          tolerance,
        );
        state.dispose();
      },
    );
  });
});

/** Largest difference over the largest number. */
function relativeError(values: ArrayLike<number>, expected: ArrayLike<number>): number {
  const largest = Math.max(...Array.from(expected, Math.abs));
  return Math.max(...Array.from(expected, (value, index) => Math.abs(value - values[index]!))) / largest;
}
