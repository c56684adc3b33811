import { type DeviceMemory, Tensor } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { deviceHiddenStates } from "./device-hidden-states.js";
import { type HiddenStates, memoryHiddenStates } from "./hidden-states.js";

/** Tokens and width of a window. */
const [LENGTH, SIZE] = [2, 6];
const WINDOW_BYTES = 4 * SIZE;

/** Memory for so many windows that lies on the CPU, and counts what is not given back. */
function countingMemory(windows: number) {
  const counts = { held: 0, opened: 0, disposed: 0, written: 0 };
  const memory: DeviceMemory = {
    bytes: windows * WINDOW_BYTES,
    allocate(type, dims) {
      expect(dims).toEqual([1, LENGTH, SIZE / LENGTH]);
      counts.held++;
      return Object.assign(new Tensor(type, new Float32Array(SIZE), dims), {
        dispose: () => void counts.held--,
      });
    },
    copyTokens() {},
    read: async (tensor) => (tensor.data as Float32Array).slice(),
    async write(tensor, values) {
      counts.written++;
      (tensor.data as Float32Array).set(values);
    },
    dispose: async () => void counts.disposed++,
  };
  const openMemory = async () => {
    counts.opened++;
    return memory;
  };
  return { openMemory, counts };
}

function setUp(windows: number) {
  const { openMemory, counts } = countingMemory(windows);
  const hosts: HiddenStates[] = [];
  const make = deviceHiddenStates({
    openMemory,
    length: LENGTH,
    host: async (...size) => {
      hosts.push(await memoryHiddenStates(...size));
      return hosts.at(-1)!;
    },
  });
  return { make: (count: number) => make(count, SIZE), counts, hosts };
}

const states = (value: number) => new Float32Array(SIZE).fill(value);

/** What a run does that writes a window on the device. */
async function runInto({ onDevice }: HiddenStates, index: number, value: number): Promise<void> {
  (onDevice!.room()!.data as Float32Array).fill(value);
  await onDevice!.fill(index);
}

describe("hidden states on a device", () => {
  it("are read back as runs wrote them, and as they were written from the CPU", async () => {
    const { make, counts, hosts } = setUp(10);
    const stream = await make(3);
    await runInto(stream, 2, 7);
    await stream.write(0, states(5));
    expect(await stream.read(2)).toEqual(states(7));
    expect(await stream.read(0)).toEqual(states(5));
    expect(stream.onDevice!.get(1)).toBeUndefined();
    expect([counts.written, hosts.length]).toEqual([1, 0]);
    await stream.dispose();
    expect(counts).toMatchObject({ held: 0, disposed: 1 });
  });

  it("are written apart from what the same run reads, with one window of memory more", async () => {
    const { make, counts } = setUp(4);
    const stream = await make(3);
    for (const index of [0, 1, 2]) await runInto(stream, index, index);
    for (const index of [0, 1, 2]) {
      const read = stream.onDevice!.get(index);
      expect(stream.onDevice!.room()).not.toBe(read);
      await runInto(stream, index, 10 + index);
    }
    expect(counts.held).toBe(4);
    for (const index of [0, 1, 2]) expect(await stream.read(index)).toEqual(states(10 + index));
    await stream.dispose();
  });

  it("go to the CPU where there is no memory left, and come back when there is", async () => {
    const { make, counts, hosts } = setUp(2);
    const [first, second] = [await make(2), await make(2)];
    await first.write(0, states(1));
    await first.write(1, states(2));
    expect(second.onDevice!.room()).toBeUndefined();
    await second.write(0, states(3));
    expect([hosts.length, counts.held]).toEqual([1, 2]);
    expect(await second.read(0)).toEqual(states(3));
    // No room for the window apart from itself: it moves, and leaves its place to the next one.
    await first.write(0, states(4));
    expect(first.onDevice!.get(0)).toBeUndefined();
    await first.write(1, states(5));
    expect([await first.read(0), await first.read(1)]).toEqual([states(4), states(5)]);
    await first.dispose();
    await second.write(0, states(6));
    expect(second.onDevice!.get(0)).toBeDefined();
    expect(await hosts[0]!.read(0)).toHaveLength(0);
    expect(await second.read(0)).toEqual(states(6));
    await second.dispose();
    expect(counts).toMatchObject({ held: 0, opened: 1, disposed: 1 });
  });

  it("open the memory again after the last of them was disposed", async () => {
    const { make, counts } = setUp(1);
    for (const _ of [1, 2]) await (await make(1)).dispose();
    expect(counts).toMatchObject({ opened: 2, disposed: 2 });
  });
});
