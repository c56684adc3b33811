import type { Policy } from "@kvfold/policies";
import { createCausalLM, createRandom, type ModelSource, type Session, Tensor } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import type { Checkpoint } from "../src/index.js";
import type { AttentionWeights } from "../src/model/decoder-weights.js";
import { syntheticCheckpoint, tinyLlama } from "./reference/synthetic-checkpoint.js";
import { exportModel, withModel } from "./support/export-model.js";
import { familyNames, openFamily, readReference } from "./support/families.js";
import { MAX_POSITIONS, TURNS_ANEW } from "./support/golden-logits.js";
import { withJointLatent } from "./support/joint-layers.js";

/** Sums of float32 over fewer terms, some of them zeros, in another order. */
const TOLERANCE = 2e-6;

const int64 = (values: readonly number[], dims: readonly number[]) =>
  new Tensor("int64", BigInt64Array.from(values, BigInt), dims);

/** Keeps the tokens at some positions, in every layer and head. */
const keeping = (keeps: (position: number) => boolean): Policy => ({
  name: "keeping",
  action: "drop",
  afterPrefill: ({ heads }) =>
    heads.map(({ positions }) => ({
      kept: Int32Array.from(positions.keys()).filter((index) => keeps(positions[index]!)),
    })),
});

interface Text {
  readonly prompt: readonly number[];
  readonly rest: readonly number[];
  readonly keeps: (position: number) => boolean;
}

/** Logits of the rest of a text after a prompt whose tokens were dropped by a policy. */
const withPolicy = (model: ModelSource, { prompt, rest, keeps }: Text): Promise<Float32Array> =>
  withModel(model, async (session) => {
    const state = createCausalLM(session).createState();
    await state.prefill(prompt);
    state.compress([keeping(keeps)]);
    expect(new Set(state.heldTokens.flat())).toEqual(new Set([prompt.filter((_, at) => keeps(at)).length]));
    const logits: Float32Array[] = [];
    for (const id of rest.slice(0, 2)) logits.push((await state.decode(id)).slice());
    logits.push((await state.forward(rest.slice(2))).data);
    return joined(logits);
  });

/** The same by a delta graph whose slots are said to be empty. */
const withEmptySlots = (model: ModelSource, { prompt, rest, keeps }: Text): Promise<Float32Array> =>
  withModel(model, async (session) => {
    const whole = prompt.map((_, position) => position);
    let cached = await runDelta(session, prompt, { positions: [], rows: new Map() });
    cached = { ...cached, positions: whole.map((position) => (keeps(position) ? position : -1)) };
    const logits: Float32Array[] = [];
    for (const ids of [[rest[0]!], [rest[1]!], rest.slice(2)]) {
      cached = await runDelta(session, ids, cached);
      logits.push(cached.logits!);
    }
    return joined(logits);
  });

interface DeltaState {
  readonly positions: readonly number[];
  /** `[heads, T, size]` by part. */
  readonly rows: ReadonlyMap<
    string,
    { readonly heads: number; readonly size: number; readonly data: Float32Array }
  >;
  readonly logits?: Float32Array;
}

/** Slots of a cache, a multiple of this. */
const SLOTS = 64;

async function runDelta(session: Session, ids: readonly number[], state: DeltaState): Promise<DeltaState> {
  const past = state.positions.length;
  const slots = Math.max(1, Math.ceil(past / SLOTS)) * SLOTS;
  const parts = session.inputs.filter(({ name }) => name.startsWith("past_key_values"));
  const pasts = parts.map(({ name, shape }) => {
    const [heads, size] = [Number(shape[1]), Number(shape[3])];
    const data = new Float32Array(heads * slots * size);
    const rows = state.rows.get(name);
    for (let head = 0; rows !== undefined && head < heads; head++)
      data.set(rows.data.subarray(head * past * size, (head + 1) * past * size), head * slots * size);
    return [name, new Tensor("float32", data, [1, heads, slots, size])] as const;
  });
  const newPositions = ids.map((_, index) => past + index);
  const padded = [...state.positions, ...Array.from({ length: slots - past }, () => -1)];
  const hasChunks = session.inputs.some(({ name }) => name === "past_length");
  const results = await session.run({
    ...Object.fromEntries(pasts),
    ...(hasChunks && { past_length: int64([past], []) }),
    past_positions: int64(padded, [1, slots]),
    input_ids: int64(ids, [1, ids.length]),
    position_ids: int64(newPositions, [1, ids.length]),
    num_logits_to_keep: int64([0], []),
  });
  const rows = new Map(
    parts.map(({ name, shape }) => {
      const [heads, size] = [Number(shape[1]), Number(shape[3])];
      const fresh = results[name.replace("past_key_values", "new_key_values")]!.data as Float32Array;
      const data = new Float32Array(heads * (past + ids.length) * size);
      for (let head = 0; head < heads; head++) {
        const start = head * (past + ids.length) * size;
        const before = state.rows.get(name)?.data.subarray(head * past * size, (head + 1) * past * size);
        if (before !== undefined) data.set(before, start);
        const own = fresh.subarray(head * ids.length * size, (head + 1) * ids.length * size);
        data.set(own, start + past * size);
      }
      return [name, { heads, size, data }] as const;
    }),
  );
  const positions = [...state.positions, ...newPositions];
  return { positions, rows, logits: results.logits!.data as Float32Array };
}

const joined = (parts: readonly Float32Array[]): Float32Array =>
  Float32Array.from(parts.flatMap((part) => Array.from(part)));

function relativeError(actual: Float32Array, expected: Float32Array): number {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const error = expected.reduce((most, value, index) => Math.max(most, Math.abs(value - actual[index]!)), 0);
  return error / largest;
}

async function compare(checkpoint: Checkpoint, text: Text, options: exportModel.Options): Promise<number> {
  const policy = await withPolicy(await exportModel(checkpoint, { ...options, form: "policy" }), text);
  const delta = await withEmptySlots(await exportModel(checkpoint, { ...options, form: "delta" }), text);
  return relativeError(policy, delta);
}

const everyThird = (position: number) => position % 3 !== 1;

describe("what policies drop is as if it were masked, at the positions of the others", () => {
  it.each(familyNames.filter((name) => !TURNS_ANEW.includes(name)))("%s", async (name) => {
    const { ids } = readReference(name).sequences[0]!;
    const text = { prompt: ids.slice(0, 18), rest: ids.slice(18), keeps: everyThird };
    expect(await compare(await openFamily(name), text, { maxPositions: MAX_POSITIONS })).toBeLessThan(
      TOLERANCE,
    );
  });

  it("nothing dropped is the delta graph", async () => {
    const { ids } = readReference("gemma2").sequences[0]!;
    const text = { prompt: ids.slice(0, 18), rest: ids.slice(18), keeps: () => true };
    expect(await compare(await openFamily("gemma2"), text, { maxPositions: MAX_POSITIONS })).toBeLessThan(
      TOLERANCE,
    );
  });

  it("keys that are cached before their rotation, and expanded at each use", async () => {
    const checkpoint = await syntheticCheckpoint({ config: { ...tinyLlama, num_key_value_heads: 2 } });
    const fold = (attention: AttentionWeights) => {
      const { kvHeads, headDim } = attention;
      const random = createRandom(3);
      const decode = Float32Array.from({ length: kvHeads * headDim ** 2 }, () => random() - 0.5);
      return { ...attention, expanded: { encode: undefined, decode } };
    };
    const tokens = Array.from({ length: 30 }, (_, index) => (index * index * 7 + 3) % 61);
    const text = { prompt: tokens.slice(0, 18), rest: tokens.slice(18), keeps: everyThird };
    expect(await compare(checkpoint, text, { fold, maxPositions: MAX_POSITIONS })).toBeLessThan(TOLERANCE);
  });

  it.each(["chunks", "no chunks"])("runs of joint latents, %s", async (chunks) => {
    const fold = (attention: AttentionWeights) =>
      withJointLatent(attention, {
        span: 2,
        chunks: Array.from({ length: attention.rope!.rotaryDim / 2 }, (_, pair) =>
          chunks === "chunks" ? 2 ** Math.min(pair, 7) : 1,
        ),
      });
    const checkpoint = await syntheticCheckpoint({ config: { ...tinyLlama, max_position_embeddings: 256 } });
    const tokens = Array.from({ length: 230 }, (_, index) => (index * index * 7 + 3) % 61);
    const text = { prompt: tokens.slice(0, 210), rest: tokens.slice(210), keeps: isKeptRun };
    expect(await compare(checkpoint, text, { fold, maxPositions: 256 })).toBeLessThan(TOLERANCE);
  });
});

/** The first run of 64 and the third stay, and what lies after the last whole one. */
const isKeptRun = (position: number): boolean => Math.floor(position / 64) !== 1;
