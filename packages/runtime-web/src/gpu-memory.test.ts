import { Tensor } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { gpuMemory } from "./gpu-memory.js";
import type { OrtWeb } from "./ort-web.js";
import type { GpuDevice } from "./webgpu.js";

/** A device that notes what it is told to copy: offset from, offset to, bytes. */
function notingDevice() {
  const copies: (readonly number[])[] = [];
  const device = {
    limits: { maxBufferSize: 1024, maxStorageBufferBindingSize: 1024 },
    queue: { submit() {} },
    createBuffer: () => ({ destroy() {} }),
    createCommandEncoder: () => ({
      copyBufferToBuffer: (_: unknown, from: number, __: unknown, to: number, bytes: number) =>
        void copies.push([from, to, bytes]),
      finish: () => ({}),
    }),
  } as unknown as GpuDevice;
  return { memory: gpuMemory({ Tensor } as unknown as Pick<OrtWeb, "Tensor">, device), copies };
}

describe("gpuMemory", () => {
  it("copies the first tokens of every head to its place among another number of tokens", () => {
    const { memory, copies } = notingDevice();
    const [from, to] = [5, 3].map((tokens) => memory.allocate("float16", [1, 2, tokens, 4])) as [
      Tensor,
      Tensor,
    ];
    memory.copyTokens(from, to, 3);
    // A token of a head is 4 numbers of 2 bytes: heads begin 40 and 24 bytes apart.
    expect(copies).toEqual([
      [0, 0, 24],
      [40, 24, 24],
    ]);
  });

  it("refuses to copy what does not lie in whole words, which WebGPU would not copy at all", () => {
    const { memory, copies } = notingDevice();
    const odd = memory.allocate("float16", [1, 2, 5, 3]);
    expect(() => memory.copyTokens(odd, odd, 1)).toThrow(/a multiple of 4 bytes .* found 6/);
    expect(copies).toEqual([]);
    const words = memory.allocate("float32", [1, 2, 5, 3]);
    memory.copyTokens(words, words, 1);
    expect(copies).toHaveLength(2);
  });
});
