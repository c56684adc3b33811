import { describe, expect, it } from "vitest";
import { groupQuery, plain, VOCABULARY } from "../test/tiny-decoder.js";
import { openTinyModel, tinyTokens } from "../test/tiny-model.js";
import { type CausalLM, type DecodingState, type RetrievalItem, retrievalProbe } from "./index.js";
import { logitsRow } from "./logits.js";
import { argmax } from "./sampling.js";

const COLUMNS = 16;

/** A model that counts: after token `t` it expects `t + 1`, or `t + step` when it decodes one token. */
function counter({ step = 1, runs = [] as number[][] } = {}): CausalLM {
  const oneHot = (token: number) => {
    const row = new Float32Array(COLUMNS);
    row[token] = 1;
    return row;
  };
  let past: number[] = [];
  const append = (ids: ArrayLike<number>) => {
    past.push(...Array.from(ids));
    runs.push([...past]);
  };
  const state: Partial<DecodingState> = {
    prefill: async (ids) => {
      append(ids);
      return oneHot(past.at(-1)! + 1);
    },
    decode: async (id) => {
      append([id]);
      return oneHot(id + step);
    },
    forward: async (ids) => {
      append(ids);
      const rows = Array.from(ids, (id) => [...oneHot(id + 1)]);
      return { rows: ids.length, columns: COLUMNS, data: Float32Array.from(rows.flat()) };
    },
    truncate(length) {
      past = past.slice(0, length);
    },
    clear() {
      past = [];
    },
    dispose() {},
  };
  return { createState: () => state } as unknown as CausalLM;
}

/** The likeliest token after every position of a sequence, from one run without a cache. */
async function firstChoices(model: CausalLM, ids: readonly number[]): Promise<readonly number[]> {
  const logits = await model.forward(ids);
  return ids.map((_, index) => argmax(logitsRow(logits, index)));
}

/** A greedy continuation, every token of it from a run over all tokens before. */
async function continuation(
  model: CausalLM,
  prompt: readonly number[],
  count: number,
): Promise<readonly number[]> {
  const ids = [...prompt];
  while (ids.length < prompt.length + count) ids.push((await firstChoices(model, ids)).at(-1)!);
  return ids.slice(prompt.length);
}

describe("retrievalProbe", () => {
  it("counts the tokens of an answer that are the first choice", async () => {
    const items = [
      { prompt: [1, 2, 3], answer: [4, 5, 6] },
      // 9 is wrong after 4, and 10 is right after 9.
      { prompt: [1, 2, 3], answer: [4, 9, 10] },
      { prompt: [1, 2, 3], answer: [5] },
      { prompt: [7], answer: [8] },
    ];
    expect(await retrievalProbe(counter(), items)).toEqual([
      { tokens: 3, hits: 3, teacherForced: true, greedy: true },
      { tokens: 3, hits: 2, teacherForced: false, greedy: false },
      { tokens: 1, hits: 0, teacherForced: false, greedy: false },
      { tokens: 1, hits: 1, teacherForced: true, greedy: true },
    ]);
  });

  it("runs the prompt once, for both measures", async () => {
    const runs: number[][] = [];
    await retrievalProbe(counter({ runs }), [{ prompt: [1, 2], answer: [3, 4, 5] }]);
    expect(runs).toEqual([
      [1, 2],
      [1, 2, 3, 4],
      [1, 2, 3],
      [1, 2, 3, 4],
    ]);
  });

  it("measures decoding apart from the run over the answer", async () => {
    const [score] = await retrievalProbe(counter({ step: 2 }), [{ prompt: [1], answer: [2, 3] }]);
    expect(score).toEqual({ tokens: 2, hits: 2, teacherForced: true, greedy: false });
  });

  it.each([
    ["in place", groupQuery],
    ["that grows", plain],
  ])("agrees with runs without a cache, on a decoder with a cache %s", async (_, decoder) => {
    const model = await openTinyModel(decoder, { initialCapacity: 4, prefillChunk: 8 });
    const prompts = [tinyTokens(20), tinyTokens(33).slice(20), tinyTokens(5)];
    const items: RetrievalItem[] = [];
    for (const prompt of prompts) {
      const answer = await continuation(model, prompt, 6);
      items.push({ prompt, answer });
      items.push({ prompt, answer: answer.with(2, (answer[2]! + 1) % VOCABULARY) });
    }
    for (const [index, score] of (await retrievalProbe(model, items)).entries()) {
      const { prompt, answer } = items[index]! as { prompt: readonly number[]; answer: readonly number[] };
      const choices = (await firstChoices(model, [...prompt, ...answer])).slice(prompt.length - 1, -1);
      const hits = answer.filter((token, at) => choices[at] === token).length;
      const right = index % 2 === 0;
      expect(score).toEqual({ tokens: 6, hits, teacherForced: right, greedy: right });
    }
  });

  it("reports every item, and is aborted between them", async () => {
    const controller = new AbortController();
    const reports: [number, number][] = [];
    const items = [3, 4, 5].map((token) => ({ prompt: [token - 1], answer: [token] }));
    const onItem = (index: number, { hits }: { readonly hits: number }) => {
      reports.push([index, hits]);
      if (index === 1) controller.abort();
    };
    const run = retrievalProbe(counter(), items, { onItem, signal: controller.signal });
    await expect(run).rejects.toMatchObject({ code: "aborted" });
    expect(reports).toEqual([
      [0, 1],
      [1, 1],
    ]);
  });

  it("refuses empty prompts and answers, tokens beyond the vocabulary, and too long a context", async () => {
    const model = await openTinyModel(groupQuery, { maxPositions: 10 });
    const probe = (prompt: readonly number[], answer: readonly number[]) =>
      retrievalProbe(model, [{ prompt, answer }]);
    await expect(probe([], [1])).rejects.toMatchObject({ code: "invalid-argument" });
    await expect(probe([1], [])).rejects.toThrow(/token ids below 61, found none/);
    await expect(probe([1], [2, VOCABULARY])).rejects.toThrow(/token ids below 61, found 61 at 1/);
    await expect(probe([1], [0.5])).rejects.toMatchObject({ code: "invalid-argument" });
    await expect(probe(tinyTokens(9), [1, 2, 3])).rejects.toMatchObject({ code: "too-many-positions" });
    // The last token of an answer is predicted, and needs no position.
    await expect(probe(tinyTokens(9), [1, 2])).resolves.toHaveLength(1);
  });
});
