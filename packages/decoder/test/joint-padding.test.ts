import { type Session, Tensor } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import type { AttentionWeights } from "../src/model/decoder-weights.js";
import { syntheticCheckpoint, tinyLlama } from "./reference/synthetic-checkpoint.js";
import { exportModel, withModel } from "./support/export-model.js";
import { withJointLatent } from "./support/joint-layers.js";

const VOCABULARY = 61;
const chunks = [2, 2, 4, 4, 8, 32, 64, 64];
/** Of full rank: what a smaller one loses depends on where chunks begin, and so on padding. */
const fold = (attention: AttentionWeights) => withJointLatent(attention, { span: attention.kvHeads, chunks });

const text = (seed: number, count: number) =>
  Array.from({ length: count }, (_, index) => (index * seed + 5) % VOCABULARY);

describe("joint latents", () => {
  it("read a text that is padded on the left as the text alone, at once and step by step", async () => {
    const [long, short] = [text(17, 43), text(29, 31)];
    const padded = [...Array<number>(12).fill(0), ...short];
    const mask = padded.map((_, index) => (index < 12 ? 0 : 1));
    const model = await exportModel(await syntheticCheckpoint({ config: tinyLlama }), { fold });
    await withModel(model, async (session) => {
      const alone = [await stepThrough(session, [long], 0), await stepThrough(session, [short], 0)];
      const both = await stepThrough(session, [long, padded], 0, [long.map(() => 1), mask]);
      for (const [run, logits] of both.entries())
        for (const [row, own] of alone.entries())
          expect(relativeError(logits[row]!, own[run]![0]!)).toBeLessThan(TOLERANCE);
    });
  });

  it("do not depend on where a client lets positions begin", async () => {
    const ids = text(17, 43);
    const model = await exportModel(await syntheticCheckpoint({ config: tinyLlama }), { fold });
    await withModel(model, async (session) => {
      const [first, later] = [await stepThrough(session, [ids], 0), await stepThrough(session, [ids], 1000)];
      expect(later).toEqual(first);
    });
  });
});

/** Sums of float32 in another order. */
const TOLERANCE = 1e-5;

/** Tokens that are run one by one, after the others at once. */
const STEPS = 5;

/** Last logits of each row, after the texts without their last tokens and after each of these. */
async function stepThrough(
  session: Session,
  rows: readonly (readonly number[])[],
  firstPosition: number,
  masks: readonly (readonly number[])[] = rows.map((row) => row.map(() => 1)),
): Promise<readonly (readonly Float32Array[])[]> {
  const count = rows[0]!.length;
  let past: Readonly<Record<string, Tensor>> = {};
  const runs: Float32Array[][] = [];
  for (let end = count - STEPS, start = 0; end <= count; start = end, end++) {
    const positions = masks.map((mask) => positionsOf(mask).slice(start, end));
    const shifted = positions.map((row) => row.map((position) => position + firstPosition));
    const feeds = {
      input_ids: int64(rows.map((row) => row.slice(start, end))),
      attention_mask: int64(masks.map((mask) => mask.slice(0, end))),
      position_ids: int64(shifted),
      ...(start === 0 ? emptyCache(session, rows.length) : past),
    };
    const outputs = await session.run(
      feeds,
      session.outputs.map(({ name }) => name),
    );
    const logits = outputs.logits!.data as Float32Array;
    runs.push(rows.map((_, row) => lastRow(logits, row, end - start)));
    past = Object.fromEntries(
      Object.entries(outputs).map(([name, value]) => [name.replace("present", "past_key_values"), value]),
    );
  }
  return runs;
}

const positionsOf = (mask: readonly number[]): readonly number[] => {
  let count = 0;
  return mask.map((real) => (real === 1 ? count++ : 0));
};

const int64 = (rows: readonly (readonly number[])[]) =>
  new Tensor("int64", BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]!.length]);

const emptyCache = (session: Session, batch: number): Readonly<Record<string, Tensor>> =>
  Object.fromEntries(
    session.inputs
      .filter(({ name }) => name.startsWith("past"))
      .map(({ name, shape }) => [
        name,
        new Tensor("float32", new Float32Array(0), [batch, shape[1] as number, 0, shape[3] as number]),
      ]),
  );

const lastRow = (logits: Float32Array, row: number, length: number): Float32Array => {
  const end = (row + 1) * length * VOCABULARY;
  return logits.slice(end - VOCABULARY, end);
};

/** Largest difference over the largest number. */
function relativeError(values: Float32Array, expected: Float32Array): number {
  const largest = expected.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);
  const worst = values.reduce((peak, value, index) => Math.max(peak, Math.abs(value - expected[index]!)), 0);
  return worst / largest;
}
