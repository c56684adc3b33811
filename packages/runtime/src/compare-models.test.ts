import { describe, expect, it } from "vitest";
import { collect, fakeModel } from "../test/fake-model.js";
import { groupQuery, plain } from "../test/tiny-decoder.js";
import { openTinyModel, tinyTokens } from "../test/tiny-model.js";
import { type CausalLM, compareModels, perplexity } from "./index.js";

const constant = (...row: readonly number[]): CausalLM => fakeModel(() => row);
const compare = async (reference: CausalLM, model: CausalLM, window: readonly number[]) =>
  (await collect(compareModels(reference, model, [window])))[0]!;

describe("compareModels", () => {
  it("has the divergence that is worked out on paper, from the reference to the model", async () => {
    // P = 3/4, 1/4 and Q = 1/2, 1/2.
    const [p, q] = [constant(Math.log(3), 0), constant(5, 5)];
    const forth = await compare(p, q, [0, 0, 1]);
    const expected = 0.75 * Math.log(1.5) + 0.25 * Math.log(0.5);
    // The logit log 3 is rounded to float32.
    expect(forth.divergences[0]).toBeCloseTo(expected, 7);
    expect(forth.divergences).toHaveLength(2);
    const back = await compare(q, p, [0, 0, 1]);
    expect(back.divergences[0]).toBeCloseTo(0.5 * Math.log(0.5 / 0.75) + 0.5 * Math.log(2), 7);
    expect([...forth.losses]).toEqual([Math.log(2), Math.log(2)].map((loss) => expect.closeTo(loss, 12)));
    expect([...forth.referenceLosses]).toEqual([
      expect.closeTo(-Math.log(0.75), 7),
      expect.closeTo(-Math.log(0.25), 7),
    ]);
  });

  it("counts changed first choices, the lowest id of equal ones", async () => {
    const tied = constant(1, 1, 0);
    expect([...(await compare(tied, constant(2, 0, 0), [0, 1])).changes]).toEqual([0]);
    expect([...(await compare(tied, constant(0, 2, 0), [0, 1])).changes]).toEqual([1]);
  });

  it("is nothing between a model and itself, however large its logits", async () => {
    const model = constant(1e4, -1e4, Number.NEGATIVE_INFINITY);
    const { divergences, changes } = await compare(model, model, [0, 0, 0]);
    expect([...divergences, ...changes]).toEqual([0, 0, 0, 0]);
  });

  it("is infinite where the model excludes what the reference does not", async () => {
    const { divergences } = await compare(constant(0, 0), constant(0, Number.NEGATIVE_INFINITY), [0, 0]);
    expect(divergences[0]).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([1, 7, undefined])(
    "agrees with the definition over real graphs, %s rows at a time",
    async (rows) => {
      const [reference, model] = await Promise.all([openTinyModel(groupQuery), openTinyModel(plain)]);
      // The logits of so large a vocabulary leave room for `rows` rows of both models.
      const declared = rows === undefined ? {} : { vocabularySize: Math.floor(2 ** 24 / 2 / rows) };
      const windows = [tinyTokens(30), tinyTokens(45).slice(30)];
      const found = await collect(
        compareModels({ ...reference, ...declared }, { ...model, ...declared }, windows),
      );
      for (const [index, window] of windows.entries()) {
        const [p, q] = await Promise.all([shares(reference, window), shares(model, window)]);
        const expected = p.map((row, i) =>
          row.reduce((sum, share, j) => sum + share * Math.log(share / q[i]![j]!), 0),
        );
        const gaps = expected.map((value, i) => Math.abs(value - found[index]!.divergences[i]!));
        // Logits of up to 17 agree to 2e-5 between runs of different lengths.
        expect(Math.max(...gaps)).toBeLessThan(1e-4);
      }
      const losses = found.flatMap((one) => [...one.losses]);
      const { nll } = await perplexity(model, windows);
      expect(losses.reduce((sum, loss) => sum + loss, 0) / losses.length).toBeCloseTo(nll, 5);
    },
  );

  it("refuses vocabularies of two sizes, and disposes", async () => {
    await expect(compare(constant(0, 0), constant(0, 0, 0), [0, 0])).rejects.toMatchObject({
      code: "invalid-argument",
    });
    await expect(compare(constant(0, Number.NaN), constant(0, 0), [0, 0])).rejects.toMatchObject({
      code: "invalid-logits",
    });
  });
});

/** Softmax by its definition; the tiny models' logits are small enough not to overflow. */
async function shares(model: CausalLM, window: readonly number[]): Promise<readonly (readonly number[])[]> {
  const { rows, columns, data } = await model.forward(window.slice(0, -1));
  return Array.from({ length: rows }, (_, index) => {
    const exps = Array.from(data.subarray(index * columns, (index + 1) * columns), Math.exp);
    const total = exps.reduce((sum, value) => sum + value, 0);
    return exps.map((value) => value / total);
  });
}
