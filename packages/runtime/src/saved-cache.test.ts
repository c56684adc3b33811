import { bytesSource } from "@kvfold/safetensors";
import { describe, expect, it } from "vitest";
import { openTestSession } from "../test/node-session.js";
import { buildTinyDecoder, groupQuery, plain } from "../test/tiny-decoder.js";
import { openTinyModel, tinyTokens } from "../test/tiny-model.js";
import { cpuMemory } from "./cpu-memory.js";
import { createCausalLM, type SavedCache } from "./index.js";

const tokens = tinyTokens(20);

function joined({ byteLength, pieces }: SavedCache): Uint8Array {
  const file = new Uint8Array(byteLength);
  let offset = 0;
  for (const piece of pieces) {
    file.set(piece, offset);
    offset += piece.byteLength;
  }
  expect(offset).toBe(byteLength);
  return file;
}

describe("a saved cache", () => {
  it.each([
    ["in-place", groupQuery, 0],
    ["growing", plain, 7],
  ] as const)("goes on where it was saved, %s", async (_, decoder, firstPosition) => {
    const model = await openTinyModel(decoder, { initialCapacity: 8 });
    const state = model.createState({ firstPosition });
    await state.prefill(tokens);
    const file = joined(state.save("weights"));
    const restored = await model.loadState(bytesSource(file), "weights");
    expect(restored.tokens).toEqual([...tokens]);
    for (const id of [3, 1, 4]) expect(await restored.decode(id)).toEqual(await state.decode(id));
    restored.truncate(5);
    state.truncate(5);
    expect(await restored.decode(2)).toEqual(await state.decode(2));
  });

  it("is refused where caches lie on a GPU", async () => {
    const session = await openTestSession(buildTinyDecoder(groupQuery));
    const memory = { ...cpuMemory };
    const model = createCausalLM({ ...session, run: session.run.bind(session), memory });
    await expect(model.loadState(bytesSource(new Uint8Array()), "weights")).rejects.toThrow(
      /^loadState: expected a model whose caches lie in the memory of the CPU/,
    );
  });

  it("is refused for another model, another shape, and when it is damaged or no cache", async () => {
    const model = await openTinyModel(groupQuery);
    const state = model.createState();
    await state.prefill(tokens);
    const file = joined(state.save("weights"));
    const attempt = (bytes: Uint8Array, name = "weights", of = model) =>
      of.loadState(bytesSource(bytes), name);
    await expect(attempt(file, "others")).rejects.toThrow(
      /expected a cache of model others, found one of weights/,
    );
    const damaged = file.slice();
    damaged[file.length - 9]! ^= 1;
    await expect(attempt(damaged)).rejects.toThrow(/checksum does not fit/);
    await expect(attempt(file.subarray(0, -8))).rejects.toMatchObject({ code: "cache-unreadable" });
    await expect(attempt(new Uint8Array(4))).rejects.toThrow(/a file that a decoding state has saved/);
    await expect(attempt(file, "weights", await openTinyModel(plain))).rejects.toThrow(
      /expected past_key_values\.\d\.\w+ as F\d+ \[.*\], found/,
    );
  });
});
