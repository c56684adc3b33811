import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesSource, parseHeader } from "@kvfold/safetensors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { syntheticFiles, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { fold, tune } from "../src/node.js";
import { randomWindows } from "./support/numbers.js";
import { differingFiles, readFolder } from "./support/read-folder.js";
import { writeTinyLlama } from "./support/tiny-folder.js";

let folder: string;
const at = (name: string) => join(folder, name);
const windows = randomWindows(20, 13, { vocabulary: 61 });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kvfold-tune-"));
  await writeTinyLlama(at("model"));
  await fold({
    from: at("model"),
    to: at("folded"),
    keep: "1/4",
    method: "anchored",
    heal: "none",
    windows: windows.map((window) => window.subarray(0, 12)),
    provider: oneThreadProvider(),
  });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const run = (to: string, options: Partial<tune.Options> = {}) =>
  tune({
    folded: at("folded"),
    original: at("model"),
    to: at(to),
    windows,
    heldOut: 4,
    steps: 6,
    windowsPerStep: 2,
    rank: 4,
    learningRate: 1e-2,
    provider: oneThreadProvider(),
    ...options,
  });

/** Fires when a step is done. */
function stopAfter(step: number): Pick<tune.Options, "signal" | "onProgress"> {
  const signal = { aborted: false };
  return {
    signal,
    onProgress(progress) {
      signal.aborted = progress.step === step;
    },
  };
}

describe("tune", () => {
  it("brings a folded model nearer to the original, and writes a model of the same shape", async () => {
    const { heldOut, losses, kept, plan } = await run("tuned", {
      // All at each step, and some of them again to stop by: nothing is to be learned from random text but the text itself.
      windows: [...windows.slice(4), ...windows.slice(-4)],
      windowsPerStep: 16,
    });
    expect(losses).toEqual(losses.toSorted((a, b) => b - a));
    expect(losses.at(-1)!).toBeLessThan(0.9 * losses[0]!);
    const [before, after] = [await readFolder(at("folded")), await readFolder(at("tuned"))];
    expect([...after.keys()]).toEqual([...before.keys()]);
    const record = JSON.parse(after.get("kvfold.json")!.toString());
    expect(record).toMatchObject({
      plan: JSON.parse(JSON.stringify(plan)),
      tuning: { rank: 4, steps: 6, kept },
    });
    // Tuned again without a step that helps, it stays as it is: the adapters were merged into the weights.
    expect(kept).toBe(6);
    const again = await run("again", { folded: at("tuned"), steps: 1, learningRate: 1e-12 });
    expect(again.heldOut[0]!.loss).toBeCloseTo(heldOut.find(({ step }) => step === kept)!.loss, 5);
  });

  it("keeps the adapters beside a model that stays as it was folded, and takes both together again", async () => {
    const names = (name: string) => readFolder(at(name));
    await run("merged", { folded: at("folded") });
    const { settings } = await run("kept", { adapters: "keep" });
    const [folded, kept] = [await names("folded"), await names("kept")];
    expect([...kept.keys()].filter((name) => !folded.has(name))).toEqual([
      "adapters/adapter_config.json",
      "adapters/adapter_model.safetensors",
    ]);
    expect(kept.get("onnx/model.onnx_data")!.equals(folded.get("onnx/model.onnx_data")!)).toBe(true);
    const bytes = kept.get("adapters/adapter_model.safetensors")!;
    const { tensors } = await parseHeader(bytesSource(bytes));
    const query = "base_model.model.model.layers.1.self_attn.q_proj";
    expect(tensors.get(`${query}.lora_A.weight`)!.shape).toEqual([4, 32]);
    expect(tensors.get(`${query}.lora_B.weight`)!.shape).toEqual([64, 4]);
    const config = JSON.parse(kept.get("adapters/adapter_config.json")!.toString());
    expect(config).toMatchObject({ peft_type: "LORA", r: settings.rank, lora_alpha: settings.alpha });
    expect(config.target_modules).toEqual(expect.arrayContaining(["q_proj", "down_proj", "v_expansion"]));
    // A tuning of either begins with the same weights.
    const losses = await Promise.all(
      ["merged", "kept"].map(async (name) => (await run(`${name}-again`, { folded: at(name) })).losses),
    );
    expect(losses[1]).toEqual(losses[0]);
    await rm(at("kept/adapters/adapter_model.safetensors"));
    await expect(run("lost", { folded: at("kept") })).rejects.toThrow(
      /kept: its kvfold.json names adapters, and adapters\/adapter_model.safetensors is missing/,
    );
    await writeFile(at("kept/adapters/adapter_model.safetensors"), "nothing");
    await expect(run("lost", { folded: at("kept") })).rejects.toMatchObject({ code: "unusable-state" });
  });

  it("writes down the text by its SHA-256, and the loss before and after", async () => {
    const { heldOut, kept } = await run("described");
    const { tuning } = JSON.parse(await readFile(at("described/kvfold.json"), "utf8"));
    const after = heldOut.find(({ step }) => step === kept)!.loss;
    expect(tuning.loss).toEqual({ of: "held-out windows", before: heldOut[0]!.loss, after });
    expect(tuning.text.sha256).toMatch(/^[0-9a-f]{64}$/);
    await run("other-text", { windows: windows.slice(1) });
    const other = JSON.parse(await readFile(at("other-text/kvfold.json"), "utf8"));
    expect(other.tuning.text.sha256).not.toBe(tuning.text.sha256);
  });

  it("ends with the same bytes after stops", async () => {
    await run("whole");
    for (const step of [1, 4])
      await expect(run("stopped", { resume: true, ...stopAfter(step) })).rejects.toMatchObject({
        code: "aborted",
      });
    await run("stopped", { resume: true });
    expect(differingFiles(await readFolder(at("whole")), await readFolder(at("stopped")))).toEqual([]);
    await expect(readFile(at(".stopped.kvfold-tuning"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("does not go on from another tuning, or from a damaged state", async () => {
    await expect(run("other", { resume: true, ...stopAfter(2) })).rejects.toMatchObject({ code: "aborted" });
    await expect(run("other", { resume: true, rank: 2 })).rejects.toThrow(
      /is the state of another tuning \(rank was 4 and is 2; alpha was 4 and is 2\)/,
    );
    await writeFile(at(".other.kvfold-tuning"), "nothing");
    await expect(run("other", { resume: true })).rejects.toMatchObject({ code: "unusable-state" });
  });

  it("says that the learning rate is too high", async () => {
    await expect(run("high", { learningRate: 1e4, warmUp: 1 })).rejects.toThrow(
      /^step \d: .*; lower the learning rate \(it is 10000\)$/,
    );
  });

  it("refuses a folded model of another original", async () => {
    await rm(at("other-model"), { recursive: true, force: true });
    await writeTinyLlama(at("other-model"));
    const files = syntheticFiles({ config: tinyLlama, seed: 2 });
    await writeFile(at("other-model/model.safetensors"), files.get("model.safetensors")!);
    await expect(run("mixed", { original: at("other-model") })).rejects.toThrow(
      /folded was not made of .*other-model \(their embeddings differ\)/,
    );
  });

  it.each([
    [{ windows: undefined }, "text is missing: give what the model is for, 1 MB or more"],
    [{ windows: undefined, text: { content: "" } }, /text holds 0 tokens/],
    [{ heldOut: 20 }, /it has 20 windows, of which 20 are held out/],
    [{ windows: [] }, /windows: expected windows of one length/],
    [{ rank: 0 }, "rank: expected a whole number above 0, found 0"],
    [{ learningRate: Number.NaN }, "learningRate: expected a number above 0, found NaN"],
    [{ parts: ["latent" as never] }, /parts: expected some of query, key, .*, found latent/],
    [{ folded: "model" }, /it has no kvfold.json/],
  ] as (readonly [Partial<tune.Options>, string | RegExp])[])(
    "refuses %o",
    async ({ folded = "folded", ...options }, message) => {
      await expect(run("refused", { ...options, folded: at(folded) })).rejects.toThrow(message);
    },
  );
});
