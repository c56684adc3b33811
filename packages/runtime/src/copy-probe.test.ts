import { describe, expect, it } from "vitest";
import type { CausalLM } from "./causal-lm.js";
import { copyProbe } from "./copy-probe.js";
import { randomPassages, randomTokens } from "./copy-probe-source.js";
import { createRandom } from "./random.js";

const VOCABULARY = Array.from({ length: 50 }, (_, index) => index + 3);
const COLUMNS = 64;

/** A model that knows nothing but the token `reach` places before the one it predicts. */
function copier(reach: number, seen: number[][] = []): CausalLM {
  return {
    createState: () => {
      let past: number[] = [];
      return {
        clear: () => {
          past = [];
        },
        dispose: () => {},
        prefill: async (ids: ArrayLike<number>) => void past.push(...Array.from(ids)),
        forward: async (ids: ArrayLike<number>) => {
          const start = past.length;
          past.push(...Array.from(ids));
          seen.push([...past]);
          const data = new Float32Array(ids.length * COLUMNS);
          for (let row = 0; row < ids.length; row++) {
            const copied = past[start + row + 1 - reach];
            if (copied !== undefined) data[row * COLUMNS + copied] = 20;
          }
          return { rows: ids.length, columns: COLUMNS, data };
        },
      };
    },
  } as unknown as CausalLM;
}

const probe = (model: CausalLM, options: Partial<copyProbe.Options> = {}) =>
  copyProbe(model, {
    source: randomTokens(VOCABULARY),
    distances: [16, 24],
    length: 16,
    sequences: 3,
    ...options,
  });

describe("copyProbe", () => {
  it("finds a model that copies at one distance only", async () => {
    const [near, far] = await probe(copier(24));
    expect(far).toMatchObject({ distance: 24, accuracy: 1, tokens: 45 });
    // One of 64 logits is 20, so the miss is 63 e^-20.
    expect(far!.nll).toBeCloseTo(63 * Math.exp(-20), 12);
    expect(far!.control.nll).toBeGreaterThan(10);
    expect(far!.control.accuracy).toBeLessThan(0.2);
    expect(far!.gain).toBeCloseTo(far!.control.nll - far!.nll, 12);
    expect(near!.accuracy).toBeLessThan(0.2);
    expect(near!.nll).toBeGreaterThan(10);
    // What stands 24 back is right by chance only, with the first occurrence and without: a token in 50, 20 nats each.
    expect(Math.abs(near!.gain)).toBeLessThan(1);
  });

  it("changes nothing but the first occurrence for the control", async () => {
    const seen: number[][] = [];
    await probe(copier(24, seen), { distances: [20], sequences: 1, bosToken: 1 });
    const [repeated, control] = seen as [number[], number[]];
    expect(repeated).toHaveLength(1 + 20 + 15);
    expect(repeated.slice(21)).toEqual(repeated.slice(1, 16));
    expect(control.slice(17)).toEqual(repeated.slice(17));
    expect(control[0]).toBe(1);
    expect(control.slice(1, 17)).not.toEqual(repeated.slice(1, 17));
  });

  it("repeats the same tokens at all distances", async () => {
    const seen: number[][] = [];
    await probe(copier(24, seen), { sequences: 1 });
    expect(seen.map((tokens) => tokens.slice(-15))).toEqual(seen.map(() => seen[0]!.slice(-15)));
  });

  it("measures all models on the same sequences", async () => {
    expect(await probe(copier(24), { seed: 5 })).toEqual(await probe(copier(24), { seed: 5 }));
    expect(await probe(copier(20), { seed: 5 })).not.toEqual(await probe(copier(20), { seed: 6 }));
  });

  it("knows no error of a single sequence", async () => {
    const [score] = await probe(copier(24), { sequences: 1 });
    expect(score!.gainError).toBeUndefined();
  });

  it("gives the standard error of the mean gain", async () => {
    // A model of accidents: it copies the token 8 back, which is right by chance only.
    const each: number[] = [];
    for (const sequences of [1, 2]) each.push((await probe(copier(8), { sequences }))[0]!.gain * sequences);
    const [first, second] = [each[0]!, each[1]! - each[0]!];
    const [score] = await probe(copier(8), { sequences: 2 });
    expect(score!.gainError).toBeCloseTo(Math.abs(first - second) / 2, 9);
  });

  it("reports progress over all sequences", async () => {
    const calls: string[] = [];
    await probe(copier(24), { onSequence: (done, total) => calls.push(`${done}/${total}`) });
    expect(calls).toEqual(["1/6", "2/6", "3/6", "4/6", "5/6", "6/6"]);
  });

  it("refuses distances that overlap what is repeated", async () => {
    await expect(probe(copier(24), { distances: [32, 8] })).rejects.toThrow(/found 8/);
    await expect(probe(copier(24), { length: 1 })).rejects.toMatchObject({ code: "invalid-argument" });
  });

  it("refuses logits that are no numbers", async () => {
    const source = randomTokens([COLUMNS + 1]);
    await expect(probe(copier(24), { source })).rejects.toMatchObject({ code: "invalid-logits" });
  });

  it("stops when asked to", async () => {
    await expect(probe(copier(24), { signal: { aborted: true } })).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("randomTokens", () => {
  it("draws as often as a token is listed", () => {
    const drawn = randomTokens([5, 5, 5, 9])(4000, createRandom(1));
    // Standard deviation 27 of 3000.
    expect(Math.abs(drawn.filter((token) => token === 5).length - 3000)).toBeLessThan(120);
    expect(new Set(drawn)).toEqual(new Set([5, 9]));
  });

  it("refuses to draw from nothing", () => expect(() => randomTokens([])).toThrow(/found 0/));
});

describe("randomPassages", () => {
  const text = Int32Array.from({ length: 10 }, (_, index) => index);

  it("draws consecutive tokens, from the first to the last", () => {
    const random = createRandom(1);
    const passages = Array.from({ length: 200 }, () => randomPassages(text)(4, random));
    for (const passage of passages)
      expect(Array.from(passage)).toEqual([0, 1, 2, 3].map((i) => passage[0]! + i));
    expect(new Set(passages.map(([start]) => start))).toEqual(new Set([0, 1, 2, 3, 4, 5, 6]));
  });

  it("refuses passages longer than the text", () =>
    expect(() => randomPassages(text)(11, createRandom(1))).toThrow(/at least 11 tokens.*found 10/));
});
