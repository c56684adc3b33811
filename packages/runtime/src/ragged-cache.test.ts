import { keptIndices } from "@kvfold/policies";
import { bytesSource } from "@kvfold/safetensors";
import { describe, expect, it } from "vitest";
import type { CacheLayout, CacheSlot } from "./cache-layout.js";
import { Tensor } from "./port.js";
import { createRaggedCache, type RaggedCache } from "./ragged-cache.js";
import { createRandom, type Random } from "./random.js";
import type { SavedCache } from "./saved-cache.js";
import { packRaggedCache, unpackRaggedCache } from "./saved-ragged-cache.js";

const slot = (layer: number, part: string, heads: number, size: number): CacheSlot => ({
  past: `past_key_values.${layer}.${part}`,
  present: `new_key_values.${layer}.${part}`,
  type: "float32",
  heads,
  size,
});

const raggedLayer = (layer: number, heads: number) => ({
  positions: `past_positions.${layer}`,
  heads,
  run: 1,
  queries: `queries.${layer}`,
  attention: `attention.${layer}`,
  attentionSums: `attention_sums.${layer}`,
  queryHeads: 4,
});

/** Layers whose keys and values have as many heads, or keys twice as many. */
const layout: CacheLayout = {
  layers: [
    { key: slot(0, "key", 2, 3), value: slot(0, "value", 2, 2) },
    { key: slot(1, "key", 4, 1), value: slot(1, "value", 2, 2) },
  ],
  kind: "ragged",
  slotMultiple: 8,
  indexInputs: [],
  ragged: [raggedLayer(0, 2), raggedLayer(1, 2)],
};

/** A number that tells which token, layer, part, head and channel it is of. */
const numberOf = (token: number, layer: number, part: number, head: number, channel: number): number =>
  token * 1000 + layer * 500 + part * 100 + head * 10 + channel;

function rowsOf(cache: RaggedCache, count: number, first: number): Record<string, Tensor> {
  cache.reserve(count);
  return Object.fromEntries(
    layout.layers.flatMap((parts, layer) =>
      Object.values(parts).map(({ present, heads, size }, part) => {
        const data = new Float32Array(heads * count * size);
        for (let index = 0; index < data.length; index++) {
          const [head, token] = [Math.floor(index / (count * size)), Math.floor(index / size) % count];
          data[index] = numberOf(first + token, layer, part, head, index % size);
        }
        return [present, new Tensor("float32", data, [1, heads, count, size])];
      }),
    ),
  );
}

/** The places of the tokens of each head of each layer: all that a cache should hold. */
type Held = readonly (readonly number[])[][];

/** Whether inputs and views of a cache show these tokens, and the rows that are theirs. */
function holds(cache: RaggedCache, held: Held, first: number): boolean {
  const feeds = cache.feeds();
  return held.every((heads, layer) => {
    const { dims, data } = feeds[`past_positions.${layer}`]!;
    const capacity = dims[2]!;
    if (capacity % layout.slotMultiple !== 0) return false;
    return heads.every((places, head) => {
      const own = (data as BigInt64Array).subarray(head * capacity, (head + 1) * capacity);
      const view = cache.view(layer).heads[head]!;
      const { heads: keyHeads, size } = layout.layers[layer]!.key!;
      const width = (keyHeads / 2) * size;
      const isRight = (place: number, index: number): boolean =>
        own[index] === BigInt(place + first) &&
        view.keys
          .subarray(index * width, (index + 1) * width)
          .every(
            (value, at) =>
              value === numberOf(place, layer, 0, head * (keyHeads / 2) + Math.floor(at / size), at % size),
          );
      return (
        String(view.positions.toSorted()) === String(places) &&
        view.positions.every(isRight) &&
        own.subarray(places.length).every((position) => position === -1n)
      );
    });
  });
}

function joined({ byteLength, pieces }: SavedCache): Uint8Array {
  const file = new Uint8Array(byteLength);
  let offset = 0;
  for (const piece of pieces) {
    file.set(piece, offset);
    offset += piece.byteLength;
  }
  return file;
}

type Changes = Parameters<RaggedCache["change"]>[1];

/** A random part of a head's tokens: often nearly all of them, as after a step. */
function change(random: Random, cache: RaggedCache, layer: number): NonNullable<Changes> {
  return cache.view(layer).heads.map(({ tokens }) => {
    const share = random() < 0.5 ? 0.05 : random();
    const isNamed = random() < 0.5;
    const part = Int32Array.from({ length: tokens }, (_, index) => index).filter(
      () => random() >= share === isNamed,
    );
    if (random() < 0.2) return undefined;
    return isNamed ? { kept: part } : { dropped: part };
  });
}

const twenty = Array.from({ length: 20 }, (_, index) => index + 1);

describe("a ragged cache", () => {
  it("holds what a slow one holds, through any sequence of runs, changes, cuts, copies and files", async () => {
    const random = createRandom(1);
    for (let sequence = 0; sequence < 20; sequence++) {
      const first = sequence % 2 === 0 ? 0 : 7;
      let cache = createRaggedCache(layout);
      let held: Held = [
        [[], []],
        [[], []],
      ];
      for (let step = 0; step < 12; step++) {
        const action = Math.floor(random() * 6);
        if (action <= 1) {
          const count = 1 + Math.floor(random() * 30);
          const start = cache.length;
          const places = Array.from({ length: count }, (_, index) => start + index);
          cache.commit(
            rowsOf(cache, count, start),
            places.map((place) => first + place),
          );
          held = held.map((heads) => heads.map((own) => [...own, ...places]));
        } else if (action <= 3) {
          const layer = Math.floor(random() * 2);
          const changes = change(random, cache, layer);
          const before = cache.view(layer).heads.map(({ positions }) => Array.from(positions));
          cache.change(layer, changes);
          held = held.map((heads, index) =>
            index !== layer
              ? heads
              : heads.map((own, head) => {
                  const ofHead = changes[head];
                  return ofHead === undefined
                    ? own
                    : Array.from(keptIndices(ofHead, own.length), (at) => before[head]![at]!).sort(
                        (a, b) => a - b,
                      );
                }),
          );
        } else if (action === 4) {
          const count = Math.floor(random() * (cache.length + 1));
          cache.truncate(count);
          held = held.map((heads) => heads.map((own) => own.filter((place) => place < count)));
        } else if (random() < 0.5) {
          const copy = cache.copy();
          cache.clear();
          cache = copy;
        } else {
          const tokens = Array.from({ length: cache.length }, (_, index) => index);
          const contents = { tokens, firstPosition: first, settled: 0 };
          const packed = packRaggedCache(layout, contents, { layers: cache.layers, model: "m" });
          const file = joined(packed);
          const saved = await unpackRaggedCache(layout, bytesSource(file), "m");
          cache = createRaggedCache(layout);
          cache.fill(saved.layers, saved.tokens.length, saved.firstPosition);
        }
        expect(holds(cache, held, first)).toBe(true);
      }
    }
  });

  it("puts the last tokens that stay in the places of those that go", () => {
    const cache = createRaggedCache(layout);
    cache.commit(rowsOf(cache, 64, 0), [...Array(64).keys()]);
    cache.change(0, [{ dropped: Int32Array.of(3, 60, 63) }, { dropped: Int32Array.of(62, 63) }]);
    const [first, second] = cache.view(0).heads;
    expect(Array.from(first!.positions)).toEqual([
      0,
      1,
      2,
      62,
      ...Array.from({ length: 56 }, (_, at) => at + 4),
      61,
    ]);
    expect(first!.keys[9]).toBe(numberOf(62, 0, 0, 0, 0));
    expect(Array.from(second!.positions)).toEqual([...Array(62).keys()]);
  });

  it("gives memory back when most tokens go, and none when few do", () => {
    const cache = createRaggedCache(layout);
    cache.commit(rowsOf(cache, 200, 0), [...Array(200).keys()]);
    const whole = cache.bytes;
    const keep = (count: number) => ({ kept: Int32Array.from({ length: count }, (_, index) => index) });
    cache.change(0, [keep(190), keep(190)]);
    expect(cache.bytes).toBe(whole);
    for (const layer of [0, 1]) cache.change(layer, [keep(20), keep(30)]);
    expect(cache.bytes).toBeLessThan(whole / 4);
    expect(cache.lengths).toEqual([
      [20, 30],
      [20, 30],
    ]);
  });

  it("shows attention by tokens, whatever slots they stand in", () => {
    const cache = createRaggedCache(layout);
    cache.commit(rowsOf(cache, 3, 0), [0, 1, 2]);
    cache.observe({ attention: 1 });
    const rows = rowsOf(cache, 2, 3);
    expect(Object.keys(cache.fetches())).toContain("attention.0");
    expect(cache.feeds().observed_attention!.data).toEqual(BigInt64Array.of(1n));
    // Three tokens in eight slots, and two new ones: columns 0, 1, 2, 8 and 9 of each of the four query heads.
    const data = Float32Array.from({ length: 40 }, (_, index) => index % 10);
    const attention = new Tensor("float32", data, [1, 4, 1, 10]);
    cache.commit({ ...rows, "attention.0": attention }, [3, 4]);
    expect(Array.from(cache.view(0).heads[1]!.attention!)).toEqual([0, 1, 2, 8, 9, 0, 1, 2, 8, 9]);
    cache.change(0, [undefined, { kept: Int32Array.of(1, 4) }]);
    expect(Array.from(cache.view(0).heads[1]!.attention!)).toEqual([1, 9, 1, 9]);
    expect(cache.view(0).heads[1]!.queryHeads).toBe(2);
    expect(cache.view(1).heads[0]!.attention).toBeUndefined();
  });

  describe("the memory of attention", () => {
    const attentionOf = (first: number) =>
      new Tensor(
        "float32",
        Float32Array.from({ length: 36 }, (_, at) => first + (at % 9)),
        [1, 4, 1, 9],
      );
    /** A cache that has run steps of one token whose attention it keeps, where its session writes into given tensors or not. */
    function afterStep(writesInPlace: boolean) {
      const cache = createRaggedCache(layout, { writesInPlace });
      cache.observe({ attention: 1 });
      const attention = attentionOf(0);
      cache.commit({ ...rowsOf(cache, 1, 0), "attention.0": attention }, [0]);
      return { cache, attention };
    }

    it("is used again at the next step, of which it is no longer shown", () => {
      const { cache, attention } = afterStep(true);
      expect(Array.from(cache.view(0).heads[0]!.attention!)).toEqual([8, 8]);
      const rows = rowsOf(cache, 1, 1);
      expect(cache.fetches()["attention.0"]).toBe(attention);
      // A run that fails has written some of it.
      expect(cache.view(0).heads[0]!.attention).toBeUndefined();
      cache.commit({ ...rows, "attention.0": attentionOf(10) }, [1]);
      expect(Array.from(cache.view(0).heads[0]!.attention!)).toEqual([10, 18, 10, 18]);
    });

    /** Goes on with more tokens than there are slots. */
    const addTwenty = (cache: RaggedCache) => {
      const attention = new Tensor("float32", new Float32Array(4 * 28), [1, 4, 1, 28]);
      cache.commit({ ...rowsOf(cache, 20, 1), "attention.0": attention }, twenty);
    };

    it.each([
      ["a session that does not write into given tensors", false, () => {}],
      ["another number of slots", true, addTwenty],
      ["a copy that shows it, too", true, (cache: RaggedCache) => cache.copy()],
    ])("is not used again with %s", (_, writesInPlace, act) => {
      const { cache } = afterStep(writesInPlace);
      act(cache);
      cache.reserve(1);
      expect(cache.fetches()["attention.0"]).toBeNull();
    });
  });

  describe("sums of attention", () => {
    /** Sums of two query heads of layer 0's head 0, in `slots` slots of the past and the new ones. */
    const sumsOf = (slots: number, ...rows: readonly (readonly [past: number[], fresh: number[]])[]) => {
      const data = rows.flatMap(([past, fresh]) => [
        ...Array.from({ length: slots }, (_, slot) => past[slot] ?? 0),
        ...fresh,
      ]);
      const width = data.length / 2;
      return new Tensor("float32", Float32Array.of(...data, ...data), [1, 4, width]);
    };
    const firstHead = (cache: RaggedCache) => cache.view(0).heads[0]!.attentionSums;
    /** Runs two tokens, then one, all of which are summed. */
    function afterTwoRuns(): RaggedCache {
      const cache = createRaggedCache(layout);
      cache.observe({ attentionSums: 100 });
      const first = rowsOf(cache, 2, 0);
      expect(cache.feeds().observed_attention_sums!.data).toEqual(BigInt64Array.of(2n));
      expect(Object.keys(cache.fetches())).toContain("attention_sums.0");
      const sums = sumsOf(8, [[], [1.5, 0.5]], [[], [1.25, 0.75]]);
      cache.commit({ ...first, "attention_sums.0": sums }, [0, 1]);
      const second = rowsOf(cache, 1, 2);
      const more = sumsOf(8, [[0.5, 0.25], [0.25]], [[0, 0.5], [0.5]]);
      cache.commit({ ...second, "attention_sums.0": more }, [2]);
      return cache;
    }

    it("grow from run to run, and follow the tokens that stay", () => {
      const cache = afterTwoRuns();
      expect(firstHead(cache)).toEqual({
        sums: Float32Array.of(2, 0.75, 0.25, 1.25, 1.25, 0.5),
        queries: 3,
      });
      expect(cache.view(1).heads[0]!.attentionSums).toBeUndefined();
      const copy = cache.copy();
      cache.change(0, [{ kept: Int32Array.of(0, 2) }, undefined]);
      expect(firstHead(cache)).toEqual({ sums: Float32Array.of(2, 0.25, 1.25, 0.5), queries: 3 });
      const rows = rowsOf(cache, 1, 3);
      const sums = sumsOf(8, [[0.25, 0.5], [0.25]], [[0.25, 0.25], [0.5]]);
      cache.commit({ ...rows, "attention_sums.0": sums }, [3]);
      expect(firstHead(cache)).toEqual({
        sums: Float32Array.of(2.25, 0.75, 0.25, 1.5, 0.75, 0.5),
        queries: 4,
      });
      expect(firstHead(copy)!.queries).toBe(3);
      cache.truncate(3);
      expect(firstHead(cache)).toBeUndefined();
    });

    it.each([
      ["a run of which a part is summed", 1, 1],
      ["a run of which none are", 0, undefined],
    ])("begin anew with %s", (_, wanted, queries) => {
      const cache = afterTwoRuns();
      cache.observe({ attentionSums: wanted });
      const rows = rowsOf(cache, 2, 3);
      const sums = sumsOf(
        8,
        [
          [0.25, 0.25, 0.25],
          [0, 0.25],
        ],
        [
          [0, 0, 0.5],
          [0.5, 0],
        ],
      );
      cache.commit(wanted === 0 ? rows : { ...rows, "attention_sums.0": sums }, [3, 4]);
      const expected = Float32Array.of(0.25, 0.25, 0.25, 0, 0.25, 0, 0, 0.5, 0.5, 0);
      expect(firstHead(cache)).toEqual(queries && { sums: expected, queries });
    });
  });

  it("refuses a saved cache whose tokens cannot be", async () => {
    const cache = createRaggedCache(layout);
    cache.commit(rowsOf(cache, 4, 0), [0, 1, 2, 3]);
    const contents = { tokens: [5, 6], firstPosition: 0, settled: 0 };
    const file = joined(packRaggedCache(layout, contents, { layers: cache.layers, model: "m" }));
    await expect(unpackRaggedCache(layout, bytesSource(file), "m")).rejects.toThrow(
      /^loadState: expected past_positions.0 below 2/,
    );
    await expect(unpackRaggedCache(layout, bytesSource(file), "n")).rejects.toThrow(/found one of m/);
  });
});
