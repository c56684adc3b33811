import { describe, expect, it } from "vitest";
import { growableZeros, release, widen } from "./growable-memory.js";
import { Tensor } from "./port.js";

/** `[2, 2, slots, 2]`, numbered from 1. */
const numbered = (tensor: Tensor): Tensor => {
  const data = tensor.data as Float32Array;
  for (let i = 0; i < data.length; i++) data[i] = i + 1;
  return tensor;
};
const DIMS = [2, 2, 3, 2];

/** The first `length` slots of each head. */
function kept({ data, dims }: Tensor, length: number): readonly number[] {
  const [batch, heads, slots, size] = dims as [number, number, number, number];
  return Array.from({ length: batch * heads }, (_, head) => [
    ...(data as Float32Array).subarray(head * slots * size, (head * slots + length) * size),
  ]).flat();
}

describe("widen", () => {
  it("moves heads apart in the same memory, and keeps their first slots", () => {
    const tensor = numbered(growableZeros("float32", DIMS));
    const { buffer } = tensor.data as Float32Array;
    const expected = kept(tensor, 2);
    const wider = widen(tensor, 7, 2);
    expect(wider.dims).toEqual([2, 2, 7, 2]);
    expect((wider.data as Float32Array).buffer).toBe(buffer);
    expect(kept(wider, 2)).toEqual(expected);
  });

  it("goes on in other memory where that is used up, and gives the old one back", () => {
    const tensor = numbered(growableZeros("float32", DIMS));
    const expected = kept(tensor, 3);
    const wider = widen(tensor, 100, 3);
    expect(kept(wider, 3)).toEqual(expected);
    expect((tensor.data as Float32Array).buffer.byteLength).toBe(0);
  });

  it("copies a tensor that is not growable, such as one of an engine without such memory", () => {
    const tensor = numbered(new Tensor("float32", new Float32Array(24), DIMS));
    const expected = kept(tensor, 3);
    expect(kept(widen(tensor, 4, 3), 3)).toEqual(expected);
    release(tensor);
    expect(tensor.data).toHaveLength(24);
  });

  it("keeps float16 as bits", () => {
    const tensor = growableZeros("float16", [1, 1, 2, 1]);
    (tensor.data as Uint16Array).set([0x3c00, 0x4000]);
    const wider = widen(tensor, 4, 2);
    expect(wider.type).toBe("float16");
    expect([...(wider.data as Uint16Array)].slice(0, 2)).toEqual([0x3c00, 0x4000]);
  });
});
