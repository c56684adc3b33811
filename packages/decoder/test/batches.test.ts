import {
  advanceBatch,
  type CausalLM,
  createCausalLM,
  generate,
  generateBatch,
  type Logits,
} from "@kvfold/runtime";
import { bytesSource } from "@kvfold/safetensors";
import { describe, expect, it } from "vitest";
import type { AttentionWeights } from "../src/model/decoder-weights.js";
import { exportModel, withModel } from "./support/export-model.js";
import { familyNames, openFamily, readReference } from "./support/families.js";
import { MAX_POSITIONS } from "./support/golden-logits.js";
import { withJointLatent } from "./support/joint-layers.js";

/** Sums of float32 in another order. */
const TOLERANCE = 2e-5;

const byFrequency = (attention: AttentionWeights): AttentionWeights => {
  const { rope, kvHeads } = attention;
  const chunks = Array.from({ length: (rope?.rotaryDim ?? 0) / 2 }, (_, pair) => 2 ** Math.min(pair, 4));
  return withJointLatent(attention, { span: kvHeads, chunks });
};

const cases = [
  ...familyNames.map((name) => ({ name, form: "delta" as const, fold: undefined })),
  ...["llama", "gemma2", "qwen3", "bloom"].map((name) => ({
    name,
    form: "delta" as const,
    fold: byFrequency,
  })),
  { name: "llama", form: "standard" as const, fold: undefined },
];

describe("sequences of a batch are decoded as each of them alone", () => {
  it.each(cases)("$name, $form graph", async ({ name, form, fold }) => {
    const checkpoint = await openFamily(name);
    const model = await exportModel(checkpoint, {
      form,
      maxPositions: MAX_POSITIONS,
      ...(fold && { fold }),
    });
    const { ids } = readReference(name).sequences[0]!;
    const prompts = [ids.slice(0, 9), ids.slice(3, 5), ids.slice(2, 16)];
    await withModel(model, async (session) => {
      const lm = createCausalLM(session, { prefillChunk: 8 });
      const alone = await inTurn(lm, prompts, ids.slice(16, 19));
      const batch = lm.createBatch({ size: 3 });
      expectRows(await batch.prefill(prompts), alone, [0, 1, 2], 0);
      expectRows(await batch.decode([ids[16]!, ids[16]!, ids[16]!]), alone, [0, 1, 2], 1);
      batch.keep([2, 1]);
      expectRows(await batch.decode([ids[17]!, ids[17]!]), alone, [2, 1], 2);
      expect(batch.size).toBe(2);
      batch.dispose();
      await joins(lm, prompts, alone, ids.slice(16, 18));
    });
  });
});

/** A batch that begins with one sequence; others come in while it is decoded. */
async function joins(
  lm: CausalLM,
  [first, short, long]: readonly (readonly number[])[],
  alone: readonly (readonly Float32Array[])[],
  [next, second]: readonly number[],
): Promise<void> {
  const batch = lm.createBatch({ size: 1 });
  expect(batch.takes(1)).toBe(false);
  await batch.prefill([first!]);
  expectRows(await batch.join([short!]), alone, [1], 0);
  const both = await batch.decode([next!, next!]);
  expectRows(both, alone, [0, 1], 1);
  if (batch.takes(long!.length)) {
    expectRows(await batch.join([long!]), alone, [2], 0);
    batch.keep([0, 2]);
    const { data, columns } = await batch.decode([second!, next!]);
    expectRows({ rows: 1, columns, data: data.subarray(0, columns) }, alone, [0], 2);
    expectRows({ rows: 1, columns, data: data.subarray(columns) }, alone, [2], 1);
  } else {
    const refusal = await batch.join([long!]).then(
      () => "it joined",
      (error: Error) => error.message,
    );
    if (!/expected a prompt that can join .takes., found one of 14/.test(refusal)) throw new Error(refusal);
    expectRows(await batch.decode([second!, second!]), alone, [0, 1], 2);
  }
  batch.dispose();
}

/** Logits after each prompt, and after each of the tokens that follow it. */
async function inTurn(
  lm: CausalLM,
  prompts: readonly (readonly number[])[],
  next: readonly number[],
): Promise<readonly (readonly Float32Array[])[]> {
  const all = [];
  for (const prompt of prompts) {
    const state = lm.createState();
    const logits = [(await state.prefill(prompt)).slice()];
    for (const id of next) logits.push((await state.decode(id)).slice());
    state.dispose();
    all.push(logits);
  }
  return all;
}

function expectRows(
  { data, columns }: Logits,
  alone: readonly (readonly Float32Array[])[],
  sequences: readonly number[],
  step: number,
): void {
  for (const [row, sequence] of sequences.entries()) {
    const expected = alone[sequence]![step]!;
    const found = data.subarray(row * columns, (row + 1) * columns);
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const [index, value] of found.entries())
      expect(Math.abs(value - expected[index]!)).toBeLessThan(TOLERANCE * largest);
  }
}

describe("a batch that sequences join and leave without end", () => {
  const forms = [
    { name: "keys by positions", fold: undefined, slots: 20 },
    // It starts again when it has more than 2 * 18 + 256 slots.
    { name: "keys by slots", fold: byFrequency, slots: 292 },
  ];

  it.each(forms)("takes no more slots with time: $name", async ({ fold, slots }) => {
    const model = await exportModel(await openFamily("llama"), {
      form: "delta",
      maxPositions: 4096,
      ...(fold && { fold }),
    });
    const { ids } = readReference("llama").sequences[0]!;
    await withModel(model, async (session) => {
      const lm = createCausalLM(session);
      const texts = [ids.slice(0, 3), ids.slice(0, 3)];
      let batch = lm.createBatch({ size: 2 });
      await batch.prefill(texts);
      let most = 0;
      for (let step = 0; step < 320; step++) {
        for (const text of texts) text.push(ids[text.length % ids.length]!);
        const advanced = await advanceBatch(lm, batch, texts);
        batch = advanced.batch;
        most = Math.max(most, batch.slots);
        if (step % 160 === 159) expectRows(advanced.logits, await alone(lm, texts), [0, 1], 0);
        if (step % 8 !== 0) continue;
        batch.keep([1]);
        await batch.join([ids.slice(0, 2)]);
        texts.splice(0, 2, texts[1]!, ids.slice(0, 2));
      }
      expect(most).toBeLessThanOrEqual(slots);
      batch.dispose();
    });
  });

  const alone = async (lm: CausalLM, texts: readonly (readonly number[])[]) =>
    (await inTurn(lm, texts, [])).map(([last]) => [last!]);
});

describe("generateBatch", () => {
  it("draws what each prompt draws alone, and says why it ended", async () => {
    const model = await exportModel(await openFamily("qwen2"), { form: "delta", maxPositions: 24 });
    const { ids } = readReference("qwen2").sequences[0]!;
    const prompts = [ids.slice(0, 3), ids.slice(0, 20), ids.slice(5, 9)];
    const options = { maxNewTokens: 12, temperature: 1, seed: 3, stopTokens: [1] };
    await withModel(model, async (session) => {
      const lm = createCausalLM(session, { maxPositions: 24 });
      const drawn = prompts.map((): number[] => []);
      const reasons: string[] = [];
      for await (const event of generateBatch(lm, prompts, options)) {
        if ("token" in event) drawn[event.sequence]!.push(event.token);
        else reasons[event.sequence] = event.finishReason;
      }
      for (const [index, prompt] of prompts.entries()) {
        const alone = generate(lm, prompt, { ...options, seed: options.seed + index });
        const tokens: number[] = [];
        for await (const token of alone) tokens.push(token);
        expect([drawn[index], reasons[index]]).toEqual([tokens, alone.finishReason]);
      }
      expect(reasons[1]).toBe("max-positions");
    });
  });

  it("goes on with short prompts where a long one has used up all slots of anchored latents", async () => {
    const model = await exportModel(await openFamily("llama"), {
      form: "delta",
      maxPositions: 24,
      fold: byFrequency,
    });
    const { ids } = readReference("llama").sequences[0]!;
    const prompts = [ids.slice(0, 20), ids.slice(0, 3)];
    await withModel(model, async (session) => {
      const lm = createCausalLM(session, { maxPositions: 24 });
      const drawn: number[][] = [[], []];
      const reasons: string[] = [];
      for await (const event of generateBatch(lm, prompts, { maxNewTokens: 18 })) {
        if ("token" in event) drawn[event.sequence]!.push(event.token);
        else reasons[event.sequence] = event.finishReason;
      }
      expect(reasons).toEqual(["max-positions", "max-new-tokens"]);
      for (const [index, prompt] of prompts.entries()) {
        const alone: number[] = [];
        for await (const token of generate(lm, prompt, { maxNewTokens: 18 })) alone.push(token);
        expect(drawn[index]).toEqual(alone);
      }
      const batch = lm.createBatch({ size: 2 });
      await batch.prefill([ids.slice(0, 23), ids.slice(0, 3)]);
      batch.keep([1]);
      expect(batch.room).toBe(1);
      await batch.decode([5]);
      await expect(batch.decode([5])).rejects.toMatchObject({ code: "too-many-positions" });
    });
  });

  it("saves and loads the cache of a delta decoder", async () => {
    const fold = { form: "delta", maxPositions: 200, fold: byFrequency } as const;
    const model = await exportModel(await openFamily("llama"), fold);
    const { ids } = readReference("llama").sequences[0]!;
    await withModel(model, async (session) => {
      const lm = createCausalLM(session);
      const state = lm.createState();
      await state.prefill(ids);
      const { byteLength, pieces } = state.save("llama");
      const file = Buffer.concat(pieces);
      expect(file.length).toBe(byteLength);
      const restored = await lm.loadState(bytesSource(file), "llama");
      for (const id of ids) expect(await restored.decode(id)).toEqual(await state.decode(id));
    });
  });

  it("refuses tokens for another number of sequences, and a sequence twice", async () => {
    const model = await exportModel(await openFamily("llama"), { form: "delta", maxPositions: 24 });
    await withModel(model, async (session) => {
      const batch = createCausalLM(session).createBatch({ size: 2 });
      await expect(batch.prefill([[1]])).rejects.toThrow(/expected tokens for 2 sequences, found them for 1/);
      await batch.prefill([[1], [2, 3]]);
      await expect(batch.prefill([[1], [2]])).rejects.toThrow(/before anything is decoded/);
      expect(() => batch.keep([1, 1])).toThrow(/different sequences below 2, found 1, 1/);
      batch.dispose();
      await expect(batch.decode([1, 2])).rejects.toMatchObject({ code: "disposed" });
    });
  });
});
