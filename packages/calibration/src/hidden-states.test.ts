import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type HiddenStatesFactory, memoryHiddenStates } from "./hidden-states.js";
import { spillingHiddenStates } from "./node/file-hidden-states.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kvfold-calibration-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const states = (index: number) => Float32Array.from({ length: 6 }, (_, i) => index + i / 8);

const factories: readonly [name: string, make: () => HiddenStatesFactory, files: number][] = [
  ["in memory", () => memoryHiddenStates, 0],
  ["small enough for memory", () => spillingHiddenStates({ folder, memoryBytes: 4 * 3 * 6 }), 0],
  ["in a file", () => spillingHiddenStates({ folder, memoryBytes: 4 * 3 * 6 - 1 }), 1],
];

describe.each(factories)("hidden states %s", (_, make, files) => {
  it("come back as they were written, in any order and again", async () => {
    const stream = await make()(3, 6);
    expect(stream.windows).toBe(3);
    for (const index of [2, 0, 1]) await stream.write(index, states(index));
    await stream.write(1, states(10));
    expect(await stream.read(0)).toEqual(states(0));
    expect(await stream.read(1)).toEqual(states(10));
    expect(await stream.read(2)).toEqual(states(2));
    await stream.dispose();
  });

  it("may be written from a view of a larger array", async () => {
    const stream = await make()(3, 6);
    const padded = Float32Array.of(-1, ...states(0), -1);
    await stream.write(0, padded.subarray(1, 7));
    expect(await stream.read(0)).toEqual(states(0));
    await stream.dispose();
  });

  it("use the folder while they live, and leave nothing in it", async () => {
    const stream = await make()(3, 6);
    await stream.write(0, states(0));
    expect(await readdir(folder)).toHaveLength(files);
    await stream.dispose();
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("hidden states in a file", () => {
  const spill = () => spillingHiddenStates({ folder, memoryBytes: 0 })(3, 6);

  it("say when they are read before they are written", async () => {
    const stream = await spill();
    await expect(stream.read(2)).rejects.toThrow(
      expect.objectContaining({
        code: "storage-failed",
        message: expect.stringMatching(/states\.f32: hidden states were never written/),
      }),
    );
    await stream.dispose();
  });

  it("say when they cannot be written", async () => {
    const stream = await spill();
    await stream.dispose();
    // A closed file stands for a full or a broken disk: the system refuses the write.
    await expect(stream.write(0, states(0))).rejects.toThrow(
      expect.objectContaining({
        code: "storage-failed",
        message: expect.stringMatching(/states\.f32: hidden states could not be written \(/),
      }),
    );
  });

  it("need a folder that is there", async () => {
    const make = spillingHiddenStates({ folder: join(folder, "missing"), memoryBytes: 0 });
    await expect(make(3, 6)).rejects.toThrow(/ENOENT/);
  });
});
