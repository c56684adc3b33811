import { type Policy, parsePolicies } from "@kvfold/policies";
import { cacheBytesPerToken, createCausalLM, type ModelSource, type Session, Tensor } from "@kvfold/runtime";
import { beforeAll, describe, expect, it } from "vitest";
import type { AttentionWeights } from "../src/model/decoder-weights.js";
import { syntheticCheckpoint, tinyLlama } from "./reference/synthetic-checkpoint.js";
import { exportModel, withModel } from "./support/export-model.js";
import { withJointLatent } from "./support/joint-layers.js";

const config = { ...tinyLlama, num_key_value_heads: 2, max_position_embeddings: 256 };
const tokensOf = (count: number) => Array.from({ length: count }, (_, index) => (index * index * 7 + 3) % 61);

const latents = (attention: AttentionWeights) =>
  withJointLatent(attention, {
    span: 2,
    chunks: Array.from({ length: attention.rope!.rotaryDim / 2 }, (_, pair) => 2 ** Math.min(pair, 6)),
  });

const cases = (["heads", "latents"] as const).flatMap((kind) =>
  (["int8", "int4"] as const).map((form) => ({ kind, form })),
);

const models = new Map<string, ModelSource>();
beforeAll(async () => {
  const checkpoint = await syntheticCheckpoint({ config });
  for (const { kind, form } of cases) {
    const fold = kind === "heads" ? {} : { fold: latents };
    models.set(`${kind} ${form}`, await exportModel(checkpoint, { ...fold, form, maxPositions: 256 }));
  }
  models.set("heads floats", await exportModel(checkpoint, { form: "policy", maxPositions: 256 }));
});

const keeping = (keeps: (position: number) => boolean): Policy => ({
  name: "keeping",
  action: "drop",
  afterPrefill: ({ heads }) =>
    heads.map(({ positions }) => ({
      kept: Int32Array.from(positions.keys()).filter((index) => keeps(positions[index]!)),
    })),
});

/** Logits of the tokens after a prompt, one at a time. */
async function decode(session: Session, policies: readonly Policy[], text: Text): Promise<number[]> {
  const state = createCausalLM(session).createState({ cache: policies });
  await state.prefill(text.prompt);
  const logits: number[] = [];
  for (const id of text.rest) logits.push(...(await state.decode(id)));
  return logits;
}

interface Text {
  readonly prompt: readonly number[];
  readonly rest: readonly number[];
}

const textOf = (kind: "heads" | "latents"): Text => {
  const tokens = tokensOf(kind === "heads" ? 44 : 210);
  return { prompt: tokens.slice(0, -3), rest: tokens.slice(-3) };
};

/** Every third token goes, or the second of the runs of 64. */
const keeps = { heads: (at: number) => at % 3 !== 1, latents: (at: number) => Math.floor(at / 64) !== 1 };

const int64 = (values: readonly number[], dims: readonly number[]) =>
  new Tensor("int64", BigInt64Array.from(values, BigInt), dims);

/**
 * The same by the graph alone, without a cache of the runtime: rows stay where they are, and the slots of what is dropped are
 * said to be empty.
 */
async function decodeMasked(
  session: Session,
  { prompt, rest }: Text,
  isKept: (at: number) => boolean,
): Promise<number[]> {
  const pasts = session.inputs.filter(({ name }) => name.startsWith("past_key_values"));
  const slots = Math.ceil((prompt.length + rest.length) / 64) * 64;
  const memory = pasts.map(({ name, type, shape }) => {
    const [heads, size] = [Number(shape[1]), Number(shape[3])];
    const count = heads * slots * size;
    const data = type === "uint8" ? new Uint8Array(count) : new Uint16Array(count);
    return { name, type, heads, size, data };
  });
  const positions = Array.from({ length: slots }, () => -1);
  const run = async (ids: readonly number[], past: number) => {
    const results = await session.run({
      ...Object.fromEntries(
        memory.map(({ name, type, data, heads, size }) => [
          name,
          new Tensor(type as "uint8", data as Uint8Array, [1, heads, slots, size]),
        ]),
      ),
      ...Object.fromEntries(
        session.inputs
          .filter(({ name }) => name.startsWith("past_positions."))
          .map(({ name, shape }) => {
            const heads = Number(shape[1]);
            return [name, int64(Array.from({ length: heads }, () => positions).flat(), [1, heads, slots])];
          }),
      ),
      ...Object.fromEntries(
        session.inputs
          .filter(({ name }) => name.startsWith("observed_") || name === "past_length")
          .map(({ name }) => [name, int64([name === "past_length" ? past : 0], [])]),
      ),
      input_ids: int64(ids, [1, ids.length]),
      position_ids: int64(
        ids.map((_, index) => past + index),
        [1, ids.length],
      ),
      num_logits_to_keep: int64([1], []),
    });
    for (const { name, heads, size, data } of memory) {
      const fresh = results[name.replace("past_key_values", "new_key_values")]!.data as Uint8Array;
      const width = ids.length * size;
      for (let head = 0; head < heads; head++)
        data.set(fresh.subarray(head * width, (head + 1) * width), (head * slots + past) * size);
    }
    for (const [index] of ids.entries()) positions[past + index] = past + index;
    return Array.from(results.logits!.data as Float32Array);
  };
  await run(prompt, 0);
  for (const [index] of prompt.entries()) if (!isKept(index)) positions[index] = -1;
  const logits: number[] = [];
  for (const [index, id] of rest.entries()) logits.push(...(await run([id], prompt.length + index)));
  return logits;
}

function difference(found: readonly number[], expected: readonly number[]): number {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return (
    found.reduce((most, value, index) => Math.max(most, Math.abs(value - expected[index]!)), 0) / largest
  );
}

describe("policies on a quantised cache", () => {
  it.each(cases)("drop tokens as if they were masked: $kind, $form", ({ kind, form }) =>
    withModel(models.get(`${kind} ${form}`)!, async (session) => {
      const text = textOf(kind);
      const dropped = await decode(session, [keeping(keeps[kind])], text);
      // The same codes and the same shares; sums of float32 in another order.
      expect(difference(dropped, await decodeMasked(session, text, keeps[kind]))).toBeLessThan(1e-5);
      const whole = await decode(session, [], text);
      expect(difference(dropped, whole)).toBeGreaterThan(1e-3);
      expect(await decode(session, [keeping(() => true)], text)).toEqual(whole);
    }),
  );

  it("see the numbers that codes stand for, turned back", async () => {
    const keysOf = (name: string) =>
      withModel(models.get(name)!, async (session) => {
        const seen: Float32Array[] = [];
        const look: Policy = {
          name: "look",
          action: "drop",
          afterPrefill({ heads, layer }) {
            if (layer === 0) seen.push(...heads.flatMap(({ keys, values }) => [keys, values]));
            return undefined;
          },
        };
        await createCausalLM(session)
          .createState({ cache: [look] })
          .prefill(tokensOf(20));
        return seen.flatMap((rows) => Array.from(rows));
      });
    const expected = await keysOf("heads floats");
    const errorOf = async (name: string) => {
      const found = await keysOf(name);
      return Math.hypot(...found.map((value, index) => value - expected[index]!)) / Math.hypot(...expected);
    };
    // Steps are 1/127 and 1/8 of the largest number of a group, and errors a third of one.
    expect(await errorOf("heads int8")).toBeLessThan(0.01);
    expect(await errorOf("heads int4")).toBeLessThan(0.15);
  });

  it.each(cases)("leave as many bytes as the layout says: $kind, $form", ({ kind, form }) =>
    withModel(models.get(`${kind} ${form}`)!, async (session) => {
      const lm = createCausalLM(session);
      const state = lm.createState({ cache: parsePolicies(`keydiff:0.5,${form}`) });
      await state.prefill(tokensOf(210));
      const perToken = cacheBytesPerToken(lm.cacheLayout);
      expect(state.cacheBytes % perToken).toBe(0);
      // 105 of 210 tokens in slots of 64, or one run and the 18 tokens after the third.
      expect(state.cacheBytes / perToken).toBe(128);
      await state.decode(5);
    }),
  );

  it.each(["kvmerger:0.5:window=8:spare=0", "think:0.5:window=8:recent=8"])(
    "code anew what %s changes",
    (policy) =>
      withModel(models.get("heads int8")!, async (session) => {
        const text = textOf("heads");
        const changed = await decode(session, parsePolicies(`${policy},int8`), text);
        const floats = await withModel(models.get("heads floats")!, (other) =>
          decode(other, parsePolicies(policy), text),
        );
        // As far as int8 and floats are apart without a policy.
        expect(difference(changed, floats)).toBeLessThan(0.03);
      }),
  );

  it("are refused where they round again, or where the graph has other bits", async () => {
    const create = (name: string, policies: string) =>
      withModel(models.get(name)!, async (session) =>
        createCausalLM(session).createState({ cache: parsePolicies(policies) }),
      );
    await expect(create("heads int8", "decoquant:4")).rejects.toThrow(
      /^createState: expected no policy that rounds numbers on a cache that is kept in int8, found decoquant:4/,
    );
    await expect(create("heads floats", "int8")).rejects.toThrow(
      /^createState: expected a graph whose cache is int8 \(model_policy_int8\.onnx\), found one with floats: .* cacheBits 8$/,
    );
    await expect(create("heads int8", "int4")).rejects.toThrow(/found one with int8/);
  });
});
