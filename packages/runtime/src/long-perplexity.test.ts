import { describe, expect, it } from "vitest";
import { collect, fakeModel } from "../test/fake-model.js";
import { plain } from "../test/tiny-decoder.js";
import { openTinyModel, tinyTokens } from "../test/tiny-model.js";
import { findKeyTokens, shortContextLosses, windowLosses } from "./index.js";

/** Its logit of token 0 is the number of tokens read: the loss of token 1 is log(1 + e^read), that of token 0 that less read. */
const counting = fakeModel((context) => [context.length, 0]);
const read = (loss: number): number => Math.round(Math.log(Math.exp(loss) - 1));

describe("shortContextLosses", () => {
  it("lets predictions read at least `context` and fewer than `context + stride` tokens", async () => {
    const window = Array<number>(14).fill(1);
    const [losses] = await collect(shortContextLosses(counting, [window], { context: 4, stride: 3 }));
    // Tokens 1 to 6 have no more than 4 + 2 tokens before them anyway; runs start at 3, 6 and 9.
    expect([...losses!].map(read)).toEqual([NaN, NaN, NaN, NaN, NaN, NaN, 4, 5, 6, 4, 5, 6, 4]);
  });

  it("takes a quarter of the context as stride", async () => {
    const window = Array<number>(14).fill(1);
    const [losses] = await collect(shortContextLosses(counting, [window], { context: 8 }));
    expect([...losses!].slice(9).map(read)).toEqual([8, 9, 8, 9]);
  });

  it("leaves windows that are no longer than the short context", async () => {
    const [losses] = await collect(shortContextLosses(counting, [[1, 1, 1, 1]], { context: 3 }));
    expect([...losses!]).toEqual([NaN, NaN, NaN]);
  });

  it("agrees with runs of a real graph over the short context", async () => {
    const model = await openTinyModel(plain);
    const window = tinyTokens(20);
    const [short] = await collect(shortContextLosses(model, [window], { context: 5, stride: 4 }));
    const [part] = await collect(windowLosses(model, [window.slice(8, 17)]));
    // Tokens 13 to 16 are read from token 8 on. Logits of up to 17 agree to 2e-5 between runs of different lengths.
    for (const token of [13, 14, 15, 16])
      expect(Math.abs(short![token - 1]! - part![token - 9]!)).toBeLessThan(4e-5);
  });

  it.each([0, 1.5, Number.NaN])("refuses a context of %d", async (context) => {
    await expect(collect(shortContextLosses(counting, [[1, 1]], { context }))).rejects.toMatchObject({
      code: "invalid-argument",
    });
  });
});

describe("findKeyTokens", () => {
  it("finds what the long context predicts well and the short one much worse", () => {
    const long = Float64Array.of(0.5, 0.5, 1.5, 2, 1.5, 0.5);
    const short = Float64Array.of(2.5, 2.6, 3.6, 9, NaN, 0.1);
    // Neither 2 nats more nor 2 nats of loss are enough: both bounds are strict.
    expect(findKeyTokens(long, short)).toEqual([1, 2]);
    expect(findKeyTokens(long, short, { alpha: 1.9, beta: -1 })).toEqual([0, 1]);
  });

  it("finds the words of a passage that comes again further back than the short context", async () => {
    const window = [3, 1, 4, 1, 5, 9, 2, 6, 5, 8, 8, 8, 8, 8, 8, 8, 8, 8, 3, 1, 4, 1, 5];
    // Copies what followed the last occurrence of the two newest tokens.
    const copying = fakeModel((context) => {
      const [last, before] = [context.at(-1), context.at(-2)];
      const seen = context.findIndex(
        (id, i) => i > 0 && i < context.length - 1 && id === last && context[i - 1] === before,
      );
      return Array.from({ length: 10 }, (_, id) => (seen >= 0 && context[seen + 1] === id ? 9 : 0));
    });
    const [long] = await collect(windowLosses(copying, [window]));
    const [short] = await collect(shortContextLosses(copying, [window], { context: 4, stride: 1 }));
    // 4, 1 and 5 at the end; the 8s copy each other within the short context.
    expect(findKeyTokens(long!, short!)).toEqual([19, 20, 21]);
  });
});
