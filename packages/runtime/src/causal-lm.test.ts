import { describe, expect, it } from "vitest";
import { openTestSession } from "../test/node-session.js";
import {
  buildTinyDecoder,
  groupQuery,
  mixed,
  plain,
  type TinyDecoder,
  VOCABULARY,
} from "../test/tiny-decoder.js";
import { largestDifference, openTinyModel, tinyTokens } from "../test/tiny-model.js";
import { createCausalLM, type DecodingState, type Logits, type Session, Tensor } from "./index.js";
import { logitsRow } from "./logits.js";

/** Logits reach 17, where float32 has steps of 2e-6: ten of them, for sums taken in another order (measured: 6e-6). */
const TOLERANCE = 2e-5;
/** Keys and values rounded to float16, 2^-12 relative, move logits of up to 17 by about 0.01 (measured: 0.006). */
const HALF_TOLERANCE = 0.02;

const tokens = tinyTokens(40);
const last = (logits: Logits): Float32Array => logitsRow(logits, logits.rows - 1);

/** Prefills `prompt` tokens, decodes the others, and returns the last logits of every call. */
async function decodeAfter(state: DecodingState, prompt: number): Promise<readonly Float32Array[]> {
  const rows = [await state.prefill(tokens.slice(0, prompt))];
  for (const token of tokens.slice(prompt)) rows.push(await state.decode(token));
  return rows;
}

const cases: readonly [string, TinyDecoder, "in-place" | "growing"][] = [
  ["group-query attention in place", groupQuery, "in-place"],
  ["group-query attention, growing", groupQuery, "growing"],
  ["plain attention of unequal key and value sizes", plain, "growing"],
  ["mixed layers", mixed, "growing"],
];

describe.each(cases)("a decoder with %s", (_, decoder, cache) => {
  it("decodes what one run over all tokens computes", async () => {
    const model = await openTinyModel(decoder, { cache });
    const all = await model.forward(tokens);
    expect([all.rows, all.columns]).toEqual([40, VOCABULARY]);
    const rows = await decodeAfter(model.createState(), 13);
    for (const [index, row] of rows.entries()) {
      expect(largestDifference(row, logitsRow(all, 12 + index))).toBeLessThan(TOLERANCE);
    }
  });

  it("prefills in chunks what it prefills at once", async () => {
    const model = await openTinyModel(decoder, { cache });
    const chunked = await openTinyModel(decoder, { cache, prefillChunk: 7 });
    const expected = await model.createState().prefill(tokens);
    const state = chunked.createState();
    expect(largestDifference(await state.prefill(tokens), expected)).toBeLessThan(TOLERANCE);
    expect(state.length).toBe(40);
  });

  it("starts afresh when cleared", async () => {
    const state = (await openTinyModel(decoder, { cache })).createState();
    const first = await state.prefill(tokens.slice(0, 9));
    await state.prefill(tokens.slice(9));
    state.clear();
    expect(await state.prefill(tokens.slice(0, 9))).toEqual(first);
  });
});

describe.each(cases)("truncating %s", (_, decoder, cache) => {
  it("decodes as if what is forgotten had never been", async () => {
    const state = (await openTinyModel(decoder, { cache, initialCapacity: 16 })).createState();
    await state.prefill(tokens.slice(0, 13));
    const expected = await state.decode(tokens[13]!);
    await state.prefill(tokens.slice(20));
    state.truncate(13);
    expect(state.length).toBe(13);
    expect(await state.decode(tokens[13]!)).toEqual(expected);
  });

  it("refuses a length that there is not, and keeps its tokens", async () => {
    const state = (await openTinyModel(decoder, { cache })).createState();
    await state.prefill(tokens.slice(0, 5));
    for (const length of [-1, 6, 1.5, Number.NaN])
      expect(() => state.truncate(length)).toThrow(/a length from 0 to 5, the tokens there are, found/);
    state.truncate(5);
    expect(state.length).toBe(5);
    state.truncate(0);
    expect(state.length).toBe(0);
    state.dispose();
    expect(() => state.truncate(0)).toThrow(/used after dispose/);
  });
});

describe("an in-place cache", () => {
  it("computes bit for bit what a growing one does, beyond its first allocation", async () => {
    const inPlace = await openTinyModel(groupQuery, { cache: "in-place", initialCapacity: 4 });
    const growing = await openTinyModel(groupQuery, { cache: "growing" });
    const state = inPlace.createState();
    expect(await decodeAfter(state, 3)).toEqual(await decodeAfter(growing.createState(), 3));
    expect(state.cacheBytes).toBe(64 * 4 * 2 * (2 * 16 + 16));
  });

  it("is the choice only where graph and session both can", async () => {
    expect((await openTinyModel(groupQuery)).cacheKind).toBe("in-place");
    expect((await openTinyModel(mixed)).cacheKind).toBe("growing");
    const session = await openTestSession(buildTinyDecoder(groupQuery), false);
    expect(createCausalLM(session).cacheKind).toBe("growing");
    expect(() => createCausalLM(session, { cache: "in-place" })).toThrow(
      /this runtime never writes into given outputs/,
    );
  });

  it.each(["in-place", "growing"] as const)("may hold float16 (%s)", async (cache) => {
    const half = await openTinyModel({ ...groupQuery, cacheType: "float16" }, { cache, initialCapacity: 8 });
    const full = await openTinyModel(groupQuery, { cache });
    const state = half.createState();
    const rows = await decodeAfter(state, 5);
    const expected = await decodeAfter(full.createState(), 5);
    const differences = rows.map((row, i) => largestDifference(row, expected[i]!));
    expect(Math.max(...differences)).toBeLessThan(HALF_TOLERANCE);
    expect(Math.max(...differences)).toBeGreaterThan(0);
  });
});

describe("num_logits_to_keep", () => {
  it.each([[[]], [[1]]])("asks for one row in prefill and for all in forward (shape %j)", async (shape) => {
    const session = await openTestSession(buildTinyDecoder({ ...groupQuery, logitsToKeep: shape }));
    const rows: number[] = [];
    const spied: Session = {
      ...session,
      run: async (feeds, fetches) => {
        const results = await session.run(feeds, fetches);
        rows.push(results.logits!.dims[1]!);
        return results;
      },
    };
    const model = createCausalLM(spied, { prefillChunk: 16 });
    const prefilled = await model.createState().prefill(tokens);
    const all = await model.forward(tokens);
    expect(rows).toEqual([1, 1, 1, 40]);
    expect(largestDifference(prefilled, last(all))).toBeLessThan(TOLERANCE);
  });
});

describe("a decoding state", () => {
  it("stops at maxPositions before anything runs", async () => {
    const model = await openTinyModel(groupQuery, { maxPositions: 16 });
    const state = model.createState();
    await state.prefill(tokens.slice(0, 16));
    await expect(state.decode(1)).rejects.toThrow(/at most 16 positions \(maxPositions\), found 17/);
    await expect(model.forward(tokens)).rejects.toMatchObject({ code: "too-many-positions" });
    expect(state.length).toBe(16);
  });

  it("stays as it was when a run fails", async () => {
    const session = await openTestSession(buildTinyDecoder(groupQuery));
    // A graph that does not declare its vocabulary: a token beyond it is noticed by the run alone.
    const outputs = session.outputs.map((info) =>
      info.name === "logits" ? { ...info, shape: ["batch_size", "logits_length", "vocabulary"] } : info,
    );
    const state = createCausalLM({ ...session, outputs }).createState();
    await state.prefill(tokens.slice(0, 8));
    await expect(state.decode(VOCABULARY)).rejects.toThrow(/out of data bounds/);
    expect(state.length).toBe(8);
    const fresh = (await openTinyModel(groupQuery)).createState();
    await fresh.prefill(tokens.slice(0, 8));
    expect(await state.decode(5)).toEqual(await fresh.decode(5));
  });

  it.each([[[]], [[1, -1]], [[0.5]], [[Number.NaN]], [[VOCABULARY]]])(
    "refuses the tokens %j",
    async (ids) => {
      const state = (await openTinyModel(groupQuery)).createState();
      await expect(state.prefill(ids)).rejects.toMatchObject({ code: "invalid-argument" });
      await expect(state.prefill([0, VOCABULARY])).rejects.toThrow(
        "expected token ids from 0 below 61, found 61 at 1",
      );
    },
  );

  it("takes one call at a time, and none after dispose", async () => {
    const state = (await openTinyModel(groupQuery)).createState();
    const first = state.prefill([1, 2, 3]);
    await expect(state.decode(4)).rejects.toMatchObject({ code: "busy" });
    await first;
    await state.decode(4);
    state.dispose();
    state.dispose();
    await expect(state.decode(5)).rejects.toMatchObject({ code: "disposed" });
    expect([state.length, state.cacheBytes]).toEqual([0, 0]);
  });

  it("gives back what a run left that was under way when it was disposed", async () => {
    const session = await openTestSession(buildTinyDecoder(plain));
    let held = 0;
    const onGpu = (tensor: Tensor): Tensor => {
      held++;
      const dispose = () => void held--;
      return Tensor.fromGpuBuffer({} as never, { dataType: "float32", dims: tensor.dims, dispose });
    };
    const gpuSession: Session = {
      ...session,
      run: async (feeds, fetches) => {
        const { logits, ...presents } = await session.run(feeds, fetches);
        return {
          logits: logits!,
          ...Object.fromEntries(Object.entries(presents).map(([name, it]) => [name, onGpu(it)])),
        };
      },
    };
    const state = createCausalLM(gpuSession).createState();
    const running = state.prefill(tokens.slice(0, 3));
    state.dispose();
    await running;
    expect(held).toBe(0);
  });

  it("keeps its tokens apart from another state's", async () => {
    const model = await openTinyModel(groupQuery);
    const [a, b] = [model.createState(), model.createState()];
    await a.prefill(tokens.slice(0, 5));
    await b.prefill(tokens.slice(20, 30));
    const [row] = await decodeAfter(model.createState(), 6);
    expect(largestDifference(await a.decode(tokens[5]!), row!)).toBeLessThan(TOLERANCE);
  });
});

describe("a first position", () => {
  /** A model, and the positions that its session was fed. */
  async function spyOnPositions(inputs?: (session: Session) => Session["inputs"]) {
    const session = await openTestSession(buildTinyDecoder(groupQuery));
    const fed: number[][] = [];
    const spied: Session = {
      ...session,
      ...(inputs && { inputs: inputs(session) }),
      run: (feeds, fetches) => {
        fed.push(Array.from(feeds.position_ids!.data as BigInt64Array, Number));
        return session.run(feeds, fetches);
      },
    };
    return { model: createCausalLM(spied, { maxPositions: 128 }), fed };
  }

  it("moves all positions of a sequence, also after it was cleared or cut", async () => {
    const { model, fed } = await spyOnPositions();
    const state = model.createState({ firstPosition: 100 });
    await state.forward([1, 2, 3]);
    await state.decode(4);
    state.truncate(2);
    await state.decode(5);
    state.clear();
    await state.prefill([6, 7]);
    expect(fed).toEqual([[100, 101, 102], [103], [102], [100, 101]]);
  });

  it("counts towards maxPositions", async () => {
    const { model } = await spyOnPositions();
    const state = model.createState({ firstPosition: 120 });
    await state.forward(tokens.slice(0, 8));
    await expect(state.decode(1)).rejects.toThrow(/at most 128 positions .*found 129/);
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 53])("is not %d", async (firstPosition) => {
    const { model } = await spyOnPositions();
    expect(() => model.createState({ firstPosition })).toThrow(/whole number from 0/);
  });

  it("is refused, and named an obstacle, where the graph has no positions", async () => {
    const { model } = await spyOnPositions(({ inputs }) =>
      inputs.filter(({ name }) => name !== "position_ids"),
    );
    expect(() => model.createState({ firstPosition: 1 })).toThrow(/no input position_ids/);
    model.createState({ firstPosition: 0 }).dispose();
    expect(await model.findShiftObstacle()).toBe("no-position-input");
  });

  it("is another input to a graph that adds learned positions", async () => {
    expect(await (await openTinyModel(groupQuery, { maxPositions: 128 })).findShiftObstacle()).toBe(
      "absolute-positions",
    );
  });
});

describe("createCausalLM", () => {
  it("says what the graph declares", async () => {
    const model = await openTinyModel(plain, { maxPositions: 128 });
    expect([model.vocabularySize, model.maxPositions, model.cacheLayout.layers.length]).toEqual([
      VOCABULARY,
      128,
      2,
    ]);
  });

  it("refuses logits that are not float32", async () => {
    await expect(openTinyModel({ ...groupQuery, logitsType: "float16" })).rejects.toThrow(
      "expected float32 logits, found float16: end the graph with a Cast to float32",
    );
  });

  it("refuses inputs that no step can fill, and those of another type", async () => {
    const session = await openTestSession(buildTinyDecoder(groupQuery));
    const change = (name: string, changed: object): Session => ({
      ...session,
      inputs: session.inputs.map((info) => (info.name === name ? { ...info, ...changed } : info)),
    });
    expect(() => createCausalLM(change("attention_mask", { name: "pixel_values" }))).toThrow(
      /found pixel_values/,
    );
    expect(() => createCausalLM(change("attention_mask", { name: "toString" }))).toThrow(/found toString/);
    expect(() => createCausalLM(change("position_ids", { type: "int32" }))).toThrow(
      /position_ids as int64, found int32/,
    );
    expect(() => createCausalLM({ ...session, inputs: session.inputs.slice(1) })).toThrow(
      /expected an input input_ids/,
    );
    expect(() => createCausalLM({ ...session, outputs: session.outputs.slice(1) })).toThrow(
      /expected an output logits/,
    );
  });

  it.each([{ prefillChunk: 0 }, { initialCapacity: -1 }, { maxPositions: 1.5 }])(
    "refuses %j",
    async (options) => {
      await expect(openTinyModel(groupQuery, options)).rejects.toMatchObject({ code: "invalid-argument" });
    },
  );
});
