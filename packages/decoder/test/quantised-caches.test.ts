import { createCausalLM, gaussians } from "@kvfold/runtime";
import { bytesSource } from "@kvfold/safetensors";
import { describe, expect, it } from "vitest";
import type { AttentionWeights } from "../src/model/decoder-weights.js";
import { exportModel, withModel } from "./support/export-model.js";
import { openFamily, readReference } from "./support/families.js";
import { goldenError, MAX_POSITIONS } from "./support/golden-logits.js";
import { withJointLatent } from "./support/joint-layers.js";

/**
 * The random weights of these models make scores large, and errors of keys with them; trained models lose far less. Four bits
 * move logits by up to half of the largest here, and eight by less than 0.03 of it.
 */
const GOLDEN = { int8: 0.03, int4: 0.6 };
/** A step computes with codes and queries of 16 bits; where a later layer rounds to another code, that is 1/254 of its row. */
const SAME = { fp32: 1e-3, fp16: 5e-3 };

const byFrequency = (attention: AttentionWeights): AttentionWeights => {
  const { rope, kvHeads } = attention;
  const chunks = Array.from({ length: (rope?.rotaryDim ?? 0) / 2 }, (_, pair) => 2 ** Math.min(pair, 4));
  return withJointLatent(attention, { span: kvHeads, chunks });
};

/** Two latents whose statistics are known: whatever these say, they only change what the codes stand for. */
const inUnits = (attention: AttentionWeights): AttentionWeights => {
  const { joint, ...rest } = withJointLatent(attention, {
    span: 1,
    chunks: byFrequency(attention).joint!.chunks,
  });
  const width = rest.keys.heads * 2 * rest.keys.size;
  const next = gaussians(3);
  const numbers = (count: number) => Float32Array.from({ length: count }, () => next() / 10);
  const keyMeans = numbers(rest.kvHeads * rest.headDim);
  const costs = Float32Array.from({ length: width }, (_, index) => 0.95 ** (index % 20));
  return { ...rest, joint: { ...joint!, statistics: { keyMeans, rest: numbers(width), costs } } };
};

/** Shared KV heads, score biases, windows with soft caps, one KV head for all; joint latents. */
const headsOf = (fold: typeof byFrequency | undefined) =>
  fold === undefined ? "heads" : fold === inUnits ? "latents in units of their own" : "latents";

const cases = [
  { name: "llama", dtype: "fp16" as const, fold: undefined },
  ...["llama", "bloom", "gemma2", "falcon-mqa"].map((name) => ({
    name,
    dtype: "fp32" as const,
    fold: undefined,
  })),
  ...["llama", "bloom"].map((name) => ({ name, dtype: "fp32" as const, fold: byFrequency })),
  { name: "llama", dtype: "fp16" as const, fold: inUnits },
  ...["llama", "bloom"].map((name) => ({ name, dtype: "fp32" as const, fold: inUnits })),
].flatMap((model) =>
  (["int8", "int4"] as const).map((form) => ({ ...model, form, heads: headsOf(model.fold) })),
);

describe("a decoder with a quantised cache", () => {
  it.each(cases)("computes alike however its text is cut: $name, $heads, $form, $dtype", async (model) => {
    const { name, fold, form, dtype } = model;
    const options = { form, dtype, maxPositions: MAX_POSITIONS, ...(fold && { fold }) };
    const source = await exportModel(await openFamily(name), options);
    const sequence = readReference(name).sequences[0]!;
    const { ids, last } = sequence;
    await withModel(source, async (session) => {
      const decoder = createCausalLM(session);
      const whole = (await decoder.forward(ids)).data;
      expect(goldenError(whole, sequence)).toBeLessThan(GOLDEN[form]);
      const first = decoder.createState();
      await first.prefill(ids.slice(0, -last.length));
      const saved = Buffer.concat(first.save("model").pieces);
      const state = await decoder.loadState(bytesSource(saved), "model");
      const steps: Float32Array[] = [];
      for (const id of ids.slice(-last.length)) steps.push((await state.decode(id)).slice());
      const logits = steps.flatMap((step) => [...step]);
      expect(difference(logits, whole.slice(-logits.length))).toBeLessThan(SAME[dtype]);
    });
  });
});

/** Largest difference over the largest logit. */
function difference(found: readonly number[], expected: Float32Array): number {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return (
    found.reduce((most, value, index) => Math.max(most, Math.abs(value - expected[index]!)), 0) / largest
  );
}
