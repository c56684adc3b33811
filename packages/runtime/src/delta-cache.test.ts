import { describe, expect, it } from "vitest";
import { createDeltaCache } from "./delta-cache.js";
import { type CacheLayout, type CacheSlot, Tensor } from "./index.js";

const slot = (name: string, heads: number, size: number): CacheSlot => ({
  past: `past_key_values.${name}`,
  present: `new_key_values.${name}`,
  type: "float32",
  heads,
  size,
});
const layout: CacheLayout = {
  layers: [{ latent: slot("0.latent", 2, 1) }],
  kind: "delta",
  slotMultiple: 4,
  indexInputs: ["past_positions", "past_length"],
};

/** New rows `[B, 2, S, 1]` that are `100 sequence + 10 head + position`. */
function rows(positions: readonly (readonly number[])[]): Record<string, Tensor> {
  const count = positions[0]!.length;
  const data = positions.flatMap((own, sequence) =>
    [0, 1].flatMap((head) => own.map((position) => 100 * sequence + 10 * head + position)),
  );
  const dims = [positions.length, 2, count, 1];
  return { "new_key_values.0.latent": new Tensor("float32", Float32Array.from(data), dims) };
}

const fed = (cache: ReturnType<typeof createDeltaCache>) => {
  const { past_positions, past_length, ...pasts } = cache.feeds();
  const latent = pasts["past_key_values.0.latent"]!;
  return {
    dims: latent.dims,
    data: [...(latent.data as Float32Array)],
    positions: [...(past_positions!.data as BigInt64Array)].map(Number),
    length: Number((past_length!.data as BigInt64Array)[0]),
  };
};

describe("createDeltaCache", () => {
  it("puts new rows after the old ones, head by head, and marks empty slots", () => {
    const cache = createDeltaCache(layout);
    expect(fed(cache)).toMatchObject({ dims: [1, 2, 4, 1], positions: [-1, -1, -1, -1], length: 0 });
    cache.commit(rows([[0, 1, 2]]), [0, 1, 2]);
    expect(fed(cache)).toEqual({
      dims: [1, 2, 4, 1],
      data: [0, 1, 2, 0, 10, 11, 12, 0],
      positions: [0, 1, 2, -1],
      length: 3,
    });
  });

  it("grows by a sixteenth in whole runs of slots, and keeps what it has", () => {
    const cache = createDeltaCache(layout);
    const many = Array.from({ length: 33 }, (_, index) => index);
    for (const position of many) cache.commit(rows([[position]]), [position]);
    const { dims, data, positions } = fed(cache);
    expect(dims).toEqual([1, 2, 36, 1]);
    expect(positions).toEqual([...many, -1, -1, -1]);
    expect(data.slice(36, 36 + 33)).toEqual(many.map((position) => 10 + position));
    expect(cache.bytes).toBe(2 * 36 * 4);
  });

  it("forgets tokens and puts others in their slots", () => {
    const cache = createDeltaCache(layout);
    cache.commit(rows([[0, 1, 2]]), [0, 1, 2]);
    cache.truncate(1);
    expect(fed(cache)).toMatchObject({ positions: [0, -1, -1, -1], length: 1 });
    cache.commit(rows([[7]]), [7]);
    expect(fed(cache)).toMatchObject({ positions: [0, 7, -1, -1], length: 2 });
    cache.clear();
    expect(fed(cache)).toMatchObject({ positions: [-1, -1, -1, -1], length: 0 });
  });

  it("goes on with some of several sequences", () => {
    const cache = createDeltaCache(layout, { sequences: 3 });
    cache.commit(
      rows([
        [-1, 0],
        [0, 1],
        [0, 1],
      ]),
      [-1, 0, 0, 1, 0, 1],
    );
    cache.keep([2, 0]);
    cache.commit(rows([[2], [1]]), [2, 1]);
    expect(fed(cache)).toEqual({
      dims: [2, 2, 4, 1],
      data: [200, 201, 2, 0, 210, 211, 12, 0, -1, 0, 101, 0, 9, 10, 111, 0],
      positions: [0, 1, 2, -1, -1, 0, 1, -1],
      length: 3,
    });
  });

  it("leaves out the first slots, where they are empty, and gives back their memory", () => {
    const cache = createDeltaCache(layout, { sequences: 2 });
    const all = Array.from({ length: 20 }, (_, index) => index);
    const late = all.map((slot) => (slot < 17 ? -1 : slot - 17));
    cache.commit(rows([all, late]), [...all, ...late]);
    const { bytes } = cache;
    cache.keep([1], 17);
    expect(fed(cache)).toEqual({
      dims: [1, 2, 4, 1],
      data: [100, 101, 102, 0, 110, 111, 112, 0],
      positions: [0, 1, 2, -1],
      length: 3,
    });
    expect(cache.bytes).toBe(bytes / 2 / 6);
  });
});
