import { describe, expect, it } from "vitest";
import { groupQuery, plain, VOCABULARY } from "../test/tiny-decoder.js";
import { openTinyModel, tinyTokens } from "../test/tiny-model.js";
import { type CausalLM, type DecodingState, type Logits, perplexity } from "./index.js";
import { logitsRow, logSumExp } from "./logits.js";

/** A model whose logits at every position are `row`. */
function constantModel(row: readonly number[]): CausalLM {
  const forward = async (ids: ArrayLike<number>): Promise<Logits> => ({
    rows: ids.length,
    columns: row.length,
    data: repeat(row, ids.length),
  });
  const state = { forward, clear() {}, dispose() {} } as unknown as DecodingState;
  return { vocabularySize: row.length, createState: () => state, forward } as unknown as CausalLM;
}

const repeat = (row: readonly number[], count: number): Float32Array =>
  Float32Array.from(Array.from({ length: count }, () => row).flat());

/** Mean of `-log softmax` by its definition; the tiny models' logits are small enough not to overflow. */
async function directNll(model: CausalLM, windows: readonly (readonly number[])[]): Promise<number> {
  const losses: number[] = [];
  for (const window of windows) {
    const logits = await model.forward(window.slice(0, -1));
    for (const [index, target] of window.slice(1).entries()) {
      const row = logitsRow(logits, index);
      const total = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
      losses.push(-Math.log(Math.exp(row[target]!) / total));
    }
  }
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

const windows = [tinyTokens(30), tinyTokens(60).slice(30), tinyTokens(75).slice(60)];

describe("perplexity", () => {
  it("is the size of the vocabulary where all tokens are equally likely", async () => {
    const {
      perplexity: uniform,
      nll,
      tokens,
    } = await perplexity(constantModel([2, 2, 2, 2, 2]), [[0, 1, 2, 3, 4]]);
    expect(tokens).toBe(4);
    expect(nll).toBeCloseTo(Math.log(5), 14);
    expect(uniform).toBeCloseTo(5, 13);
  });

  it("predicts a window's tokens from the second on", async () => {
    // softmax(log 3, 0) = 3/4, 1/4: the first token is not predicted.
    const { nll } = await perplexity(constantModel([Math.log(3), 0]), [[1, 0, 0, 1]]);
    // The logit log 3 is rounded to float32.
    expect(nll).toBeCloseTo(-(2 * Math.log(3 / 4) + Math.log(1 / 4)) / 3, 7);
  });

  it("bears logits that would overflow", async () => {
    const { nll } = await perplexity(constantModel([1e4, 0, Number.NEGATIVE_INFINITY]), [[0, 0, 1]]);
    expect(nll).toBe(5000);
  });

  it.each([groupQuery, plain])("agrees with softmax by its definition", async (decoder) => {
    const model = await openTinyModel(decoder);
    const { nll, tokens } = await perplexity(model, windows);
    expect(tokens).toBe(29 + 29 + 14);
    // Logits agree to 2e-5 between runs of different lengths; their errors average out.
    expect(Math.abs(nll - (await directNll(model, windows)))).toBeLessThan(1e-5);
  });

  it.each([groupQuery, plain])("runs a window in chunks when the vocabulary is large", async (decoder) => {
    const model = await openTinyModel(decoder, { initialCapacity: 4 });
    // A vocabulary of this size has room for seven rows in 64 MiB.
    const large: CausalLM = { ...model, vocabularySize: 2 ** 24 / 8 + 1 };
    const atOnce = await perplexity(model, windows);
    const chunked = await perplexity(large, windows);
    expect(Math.abs(chunked.nll - atOnce.nll)).toBeLessThan(1e-5);
    const unknown: CausalLM = { ...model, vocabularySize: undefined };
    expect(Math.abs((await perplexity(unknown, windows)).nll - atOnce.nll)).toBeLessThan(1e-5);
  });

  it("reads typed arrays, and reports after every window", async () => {
    const model = await openTinyModel(groupQuery);
    const reports: [number, number][] = [];
    const typed = [Uint16Array.from(windows[0]!), Int32Array.from(windows[1]!)];
    const result = await perplexity(model, typed, {
      onWindow: (index, { tokens }) => reports.push([index, tokens]),
    });
    expect(reports).toEqual([
      [0, 29],
      [1, 58],
    ]);
    expect(result).toEqual(await perplexity(model, windows.slice(0, 2)));
  });

  it("is aborted between windows", async () => {
    const model = await openTinyModel(groupQuery);
    const controller = new AbortController();
    const run = perplexity(model, windows, { signal: controller.signal, onWindow: () => controller.abort() });
    await expect(run).rejects.toMatchObject({ code: "aborted" });
  });

  it("refuses windows without a target, no windows, and NaN", async () => {
    const model = constantModel([0, 0]);
    await expect(perplexity(model, [])).rejects.toMatchObject({ code: "invalid-argument" });
    await expect(perplexity(model, [[1]])).rejects.toMatchObject({ code: "invalid-argument" });
    await expect(perplexity(model, [[0, VOCABULARY]])).rejects.toMatchObject({ code: "invalid-logits" });
    await expect(perplexity(constantModel([Number.NaN, 0]), [[0, 1]])).rejects.toMatchObject({
      code: "invalid-logits",
    });
  });
});

describe("logSumExp", () => {
  it("is exact where the sum is known, far from what exp can hold", () => {
    expect(logSumExp(Float32Array.of(1e4, 1e4))).toBe(1e4 + Math.log(2));
    expect(logSumExp(Float32Array.of(-1e4, -1e4, -1e4, -1e4))).toBe(-1e4 + Math.log(4));
  });
});
