import { describe, expect, it, vi } from "vitest";
import {
  type CacheLayout,
  type CacheSlot,
  createGrowingCache,
  createInPlaceCache,
  type KvCache,
  Tensor,
  type TensorMemory,
} from "./index.js";

const slot = (name: string, heads: number, size: number, type: CacheSlot["type"] = "float32"): CacheSlot => ({
  past: `past_key_values.${name}`,
  present: `present.${name}`,
  type,
  heads,
  size,
});

const layout: CacheLayout = {
  layers: [{ key: slot("0.key", 3, 2), value: slot("0.value", 1, 4, "float16") }],
  kind: "in-place",
  slotMultiple: 1,
  indexInputs: [],
};

/** Positions of some tokens; which they are does not matter here. */
const places = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

const past = (cache: KvCache, name: string): Tensor => cache.feeds()[`past_key_values.${name}`]!;

/** Does to the cache what a run of `count` tokens would: marks each number with its head and token. */
function fill(cache: KvCache, count: number): void {
  cache.reserve(count);
  const data = past(cache, "0.key").data as Float32Array;
  const capacity = data.length / 6;
  for (let head = 0; head < 3; head++) {
    for (let token = cache.length; token < cache.length + count; token++) {
      data.fill(100 * head + token, (head * capacity + token) * 2, (head * capacity + token + 1) * 2);
    }
  }
  cache.commit({}, places(count));
}

describe("createInPlaceCache", () => {
  it("feeds the very tensors that it has written", () => {
    const cache = createInPlaceCache(layout, { capacity: 4 });
    expect(cache.fetches()["present.0.key"]).toBe(past(cache, "0.key"));
    expect(past(cache, "0.key").dims).toEqual([1, 3, 4, 2]);
    expect(past(cache, "0.value").dims).toEqual([1, 1, 4, 4]);
    expect(past(cache, "0.value").type).toBe("float16");
  });

  it("doubles when full and moves every head to its new place", () => {
    const cache = createInPlaceCache(layout, { capacity: 3 });
    fill(cache, 3);
    fill(cache, 2);
    expect(cache.length).toBe(5);
    expect(past(cache, "0.key").dims).toEqual([1, 3, 6, 2]);
    const rows = [0, 1, 2].map((head) =>
      [0, 1, 2, 3, 4].flatMap((token) => [100 * head + token, 100 * head + token]),
    );
    expect([...(past(cache, "0.key").data as Float32Array)]).toEqual(rows.flatMap((row) => [...row, 0, 0]));
  });

  it("grows to what one call needs, and never past its limit by doubling", () => {
    const cache = createInPlaceCache(layout, { capacity: 4, limit: 10 });
    cache.reserve(7);
    expect(past(cache, "0.key").dims[2]).toBe(8);
    fill(cache, 8);
    cache.reserve(1);
    expect(past(cache, "0.key").dims[2]).toBe(10);
    const jump = createInPlaceCache(layout, { capacity: 4 });
    jump.reserve(31);
    expect(past(jump, "0.key").dims[2]).toBe(31);
  });

  it("counts the bytes of what it has allocated, and keeps them when cleared", () => {
    const cache = createInPlaceCache(layout, { capacity: 5 });
    expect(cache.bytes).toBe(5 * (3 * 2 * 4 + 4 * 2));
    fill(cache, 2);
    cache.clear();
    expect(cache.length).toBe(0);
    expect(cache.bytes).toBe(5 * (3 * 2 * 4 + 4 * 2));
  });
});

describe("createInPlaceCache in memory of its own", () => {
  /** Memory for `budget` numbers that knows what it has given. */
  function limitedMemory(budget: number) {
    const held = new Set<Tensor>();
    const used = () => [...held].reduce((sum, { size }) => sum + size, 0);
    const copyTokens = vi.fn<TensorMemory["copyTokens"]>();
    const memory: TensorMemory = {
      copyTokens,
      allocate(type, dims) {
        const dispose = () => void held.delete(tensor);
        const tensor = Tensor.fromGpuBuffer({} as never, { dataType: type, dims, dispose });
        if (used() + tensor.size > budget) throw new Error("full");
        held.add(tensor);
        return tensor;
      },
    };
    return { memory, copyTokens, used };
  }

  it("allocates there, moves its tokens when full, and gives all back", () => {
    const { memory, copyTokens, used } = limitedMemory(1_000);
    const cache = createInPlaceCache(layout, { capacity: 4, memory });
    expect(used()).toBe(4 * 10);
    const smaller = past(cache, "0.key");
    cache.commit({}, places(3));
    cache.reserve(4);
    expect(past(cache, "0.key").dims).toEqual([1, 3, 8, 2]);
    expect(copyTokens).toHaveBeenCalledWith(smaller, past(cache, "0.key"), 3);
    expect(used()).toBe(8 * 10);
    cache.clear();
    expect(used()).toBe(8 * 10);
    cache.dispose();
    expect(used()).toBe(0);
  });

  it("keeps its tokens when there is no memory to grow into", () => {
    // 40 numbers at first. The keys grow to 48 beside the values' 16, which then find no room for 32 more.
    const { memory, used } = limitedMemory(90);
    const cache = createInPlaceCache(layout, { capacity: 4, memory });
    cache.commit({}, places(4));
    expect(() => cache.reserve(1)).toThrow("full");
    expect([cache.length, past(cache, "0.key").dims[2], past(cache, "0.value").dims[2]]).toEqual([4, 8, 4]);
    cache.dispose();
    expect(used()).toBe(0);
  });
});

describe("createGrowingCache", () => {
  const present = (tokens: number): Record<string, Tensor> => ({
    "present.0.key": new Tensor("float32", new Float32Array(6 * tokens), [1, 3, tokens, 2]),
    "present.0.value": new Tensor("float16", new Uint16Array(4 * tokens), [1, 1, tokens, 4]),
  });

  it("starts without tokens and takes over what a run returns", () => {
    const cache = createGrowingCache(layout);
    expect(past(cache, "0.key").dims).toEqual([1, 3, 0, 2]);
    expect(cache.fetches()).toEqual({ "present.0.key": null, "present.0.value": null });
    const results = present(3);
    cache.commit(results, places(3));
    expect(past(cache, "0.key")).toBe(results["present.0.key"]);
    expect(cache.length).toBe(3);
    expect(cache.bytes).toBe(3 * (3 * 2 * 4 + 4 * 2));
  });

  it("releases tensors on a GPU when it replaces them", () => {
    const cache = createGrowingCache(layout);
    let released = 0;
    const dispose = () => void released++;
    const onGpu = Tensor.fromGpuBuffer({} as never, { dataType: "float32", dims: [1, 3, 1, 2], dispose });
    cache.commit({ ...present(1), "present.0.key": onGpu }, places(1));
    expect(released).toBe(0);
    cache.commit(present(2), places(1));
    expect(released).toBe(1);
    const last = Tensor.fromGpuBuffer({} as never, { dataType: "float32", dims: [1, 3, 3, 2], dispose });
    cache.commit({ ...present(3), "present.0.key": last }, places(1));
    cache.dispose();
    expect(released).toBe(2);
  });

  it("copies the tokens that stay when it forgets others, in the memory where they lie", () => {
    const copied: [Tensor, Tensor, number][] = [];
    let released = 0;
    const gpuTensor = (dims: readonly number[]) =>
      Tensor.fromGpuBuffer({} as never, { dataType: "float32", dims, dispose: () => void released++ });
    const memory: TensorMemory = {
      allocate: (_, dims) => gpuTensor(dims),
      copyTokens: (...args) => void copied.push(args),
    };
    const cache = createGrowingCache(layout, { memory });
    const onGpu = gpuTensor([1, 3, 4, 2]);
    const values = new Tensor(
      "float16",
      Uint16Array.from({ length: 16 }, (_, i) => i),
      [1, 1, 4, 4],
    );
    cache.commit({ "present.0.key": onGpu, "present.0.value": values }, places(4));
    cache.truncate(3);
    expect([cache.length, released]).toEqual([3, 1]);
    expect(past(cache, "0.key").dims).toEqual([1, 3, 3, 2]);
    expect(copied).toEqual([[onGpu, past(cache, "0.key"), 3]]);
    expect([...(past(cache, "0.value").data as Uint16Array)]).toEqual([...Array(12).keys()]);
  });

  it("forgets all tokens", () => {
    const cache = createGrowingCache(layout);
    cache.commit(present(3), places(3));
    cache.clear();
    expect([cache.length, cache.bytes, past(cache, "0.value").dims[2]]).toEqual([0, 0, 0]);
  });
});
