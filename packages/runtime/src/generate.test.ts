import { describe, expect, it } from "vitest";
import { groupQuery, plain, VOCABULARY } from "../test/tiny-decoder.js";
import { openTinyModel, tinyTokens } from "../test/tiny-model.js";
import { argmax, type CausalLM, generate } from "./index.js";
import { logitsRow } from "./logits.js";

const prompt = tinyTokens(6);

/** All tokens and the reason it ended. */
async function collect(model: CausalLM, options: generate.Options) {
  const tokens: number[] = [];
  const generation = generate(model, prompt, options);
  for await (const token of generation) {
    expect(generation.finishReason).toBeUndefined();
    tokens.push(token);
  }
  return { tokens, reason: generation.finishReason };
}

/** Greedy decoding without a cache: the whole sequence again for every token. */
async function greedyReference(model: CausalLM, count: number): Promise<readonly number[]> {
  const ids = [...prompt];
  for (let i = 0; i < count; i++) {
    const logits = await model.forward(ids);
    ids.push(argmax(logitsRow(logits, logits.rows - 1)));
  }
  return ids.slice(prompt.length);
}

describe("generate", () => {
  it.each([groupQuery, plain])(
    "is greedy by default, and agrees with decoding without a cache",
    async (decoder) => {
      const model = await openTinyModel(decoder, { initialCapacity: 8 });
      const { tokens, reason } = await collect(model, { maxNewTokens: 24 });
      expect(tokens).toEqual(await greedyReference(model, 24));
      expect(reason).toBe("max-new-tokens");
    },
  );

  it("repeats itself for a seed, and differs between seeds", async () => {
    const model = await openTinyModel(groupQuery);
    const sample = async (seed: number) =>
      (await collect(model, { maxNewTokens: 12, temperature: 3, topK: 40, topP: 0.99, seed })).tokens;
    expect(await sample(1)).toEqual(await sample(1));
    expect(await sample(1)).not.toEqual(await sample(2));
  });

  it("goes on in a state, and reads of a longer prompt what is new alone", async () => {
    const model = await openTinyModel(groupQuery);
    const state = model.createState();
    const first = await collect(model, { maxNewTokens: 5, state });
    expect(state.tokens).toEqual([...prompt, ...first.tokens.slice(0, -1)]);
    const longer = [...prompt, ...first.tokens, 9, 8];
    const read: number[] = [];
    const prefill = state.prefill.bind(state);
    state.prefill = (ids) => {
      read.push(ids.length);
      return prefill(ids);
    };
    const again: number[] = [];
    for await (const token of generate(model, longer, { maxNewTokens: 4, state })) again.push(token);
    expect(read[0]).toBe(3);
    const fresh: number[] = [];
    for await (const token of generate(model, longer, { maxNewTokens: 4 })) fresh.push(token);
    expect(again).toEqual(fresh);
    // A prompt that says something else from its third token on.
    const other = [...prompt.slice(0, 2), 1, 2, 3];
    const turned: number[] = [];
    for await (const token of generate(model, other, { maxNewTokens: 4, state })) turned.push(token);
    const expected: number[] = [];
    for await (const token of generate(model, other, { maxNewTokens: 4 })) expected.push(token);
    expect(turned).toEqual(expected);
    state.dispose();
  });

  it("ends before a stop token", async () => {
    const model = await openTinyModel(groupQuery);
    const { tokens } = await collect(model, { maxNewTokens: 8 });
    const stop = tokens[5]!;
    const { tokens: stopped, reason } = await collect(model, {
      maxNewTokens: 8,
      stopTokens: [stop, VOCABULARY + 1],
    });
    expect(stopped).toEqual(tokens.slice(0, tokens.indexOf(stop)));
    expect(reason).toBe("stop-token");
  });

  it("uses the model's positions up to the last", async () => {
    const model = await openTinyModel(groupQuery, { maxPositions: 10 });
    const { tokens, reason } = await collect(model, {});
    // Ten positions take the prompt and four tokens; the fifth is still predicted.
    expect(tokens).toHaveLength(5);
    expect(reason).toBe("max-positions");
  });

  it("is aborted by its signal, at once or between two tokens", async () => {
    const model = await openTinyModel(groupQuery);
    const aborted = generate(model, prompt, { signal: AbortSignal.abort() });
    await expect(aborted.next()).rejects.toMatchObject({ code: "aborted" });
    const controller = new AbortController();
    const running = generate(model, prompt, { signal: controller.signal });
    expect((await running.next()).done).toBe(false);
    controller.abort("enough");
    await expect(running.next()).rejects.toMatchObject({ code: "aborted", cause: "enough" });
    expect(running.finishReason).toBeUndefined();
  });

  it("frees its cache when the loop is left", async () => {
    const model = await openTinyModel(groupQuery);
    const states: ReturnType<CausalLM["createState"]>[] = [];
    const spied: CausalLM = {
      ...model,
      createState() {
        states.push(model.createState());
        return states[0]!;
      },
    };
    const generation = generate(spied, prompt);
    for await (const token of generation) {
      expect(token).toBeLessThan(VOCABULARY);
      expect(states[0]!.cacheBytes).toBeGreaterThan(0);
      break;
    }
    expect(states.map(({ cacheBytes }) => cacheBytes)).toEqual([0]);
    expect(generation.finishReason).toBeUndefined();
  });

  it("refuses to generate nothing", async () => {
    const model = await openTinyModel(groupQuery);
    await expect(collect(model, { maxNewTokens: 0 })).rejects.toMatchObject({ code: "invalid-argument" });
    await expect(generate(model, []).next()).rejects.toMatchObject({ code: "invalid-argument" });
  });
});
