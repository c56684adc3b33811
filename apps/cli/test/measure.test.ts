import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { loadMoments, shardWindows } from "@kvfold/calibration";
import { bytesSource } from "@kvfold/safetensors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { quietContext } from "../src/jobs/job.js";
import { measureMoments } from "../src/jobs/measure.js";
import { mergeMomentFiles } from "../src/jobs/merge-moments.js";
import { parseShard } from "../src/jobs/shard.js";
import { tokenFile } from "../src/tokens/read-tokens.js";
import { failureOf, makeFolder, removeFolder } from "./support.js";
import { writeTinyModel, writeTinyTokens } from "./tiny-model.js";

const SHARDS = 3;

let root: string;
let model: string;
let calibration: measureMoments.Options["calibration"];
let shards: readonly string[];
const at = (name: string) => join(root, name);

const measure = (output: string, options: Partial<measureMoments.Options> = {}) =>
  measureMoments({ model, calibration, output: at(output), ...options }, quietContext);
const merge = (files: readonly string[], output: string) =>
  mergeMomentFiles({ files: files.map(at), output: at(output) }, quietContext);
const moments = async (name: string) => loadMoments(bytesSource(await readFile(at(name))));

beforeAll(async () => {
  root = await makeFolder();
  model = await writeTinyModel(at("tiny"));
  const files = [tokenFile(await writeTinyTokens(at("tokens.u16")))];
  // More windows than attention is measured on, so that shards differ in what they measure.
  calibration = { files, windows: 20, window: 16 };
  shards = Array.from({ length: SHARDS }, (_, index) => `part-${index + 1}`);
  for (const [index, name] of shards.entries())
    await measure(name, { method: "latent", shard: { index: index + 1, count: SHARDS } });
});
afterAll(() => removeFolder(root));

describe("moments measured in shards", () => {
  it("are those of one machine to 1e-6", async () => {
    await measure("whole", { method: "latent" });
    expect(await merge([shards[2]!, shards[0]!, shards[1]!], "merged")).toMatchObject({
      shards: SHARDS,
      windows: 20,
    });
    const [whole, merged] = [await moments("whole"), await moments("merged")];
    expect(merged.description).toEqual(whole.description);
    for (const [layer, stage] of whole.layers.entries()) {
      expect(Object.keys(merged.layers[layer]!)).toEqual(Object.keys(stage));
      for (const [name, { count, gram, sum }] of Object.entries(stage)) {
        const found = merged.layers[layer]![name]!;
        expect(found.count).toBe(count);
        // Sums of a few windows are float32, and shards add others together.
        expect(largestError(found.gram, gram)).toBeLessThan(1e-6);
        expect(largestError(found.sum, sum)).toBeLessThan(1e-6);
      }
    }
  });

  it("are what a fold measures itself, and fold alike", async () => {
    await merge(shards, "for-fold");
    const options = { model, keep: "1/2", method: "latent", heal: "none" } as const;
    const [saveMoments, fromText, fromMoments] = [at("saved"), at("from-text"), at("from-moments")];
    await foldCheckpoint({ ...options, calibration, saveMoments, output: fromText }, quietContext);
    await foldCheckpoint({ ...options, moments: at("for-fold"), output: fromMoments }, quietContext);
    const [saved, merged] = [await moments("saved"), await moments("for-fold")];
    for (const [layer, stage] of saved.layers.entries())
      for (const [name, { gram }] of Object.entries(stage))
        expect(largestError(merged.layers[layer]![name]!.gram, gram)).toBeLessThan(1e-6);
    expect(await retainedOf(fromMoments)).toBe(await retainedOf(fromText));
  });
});

describe("gradients measured in shards", () => {
  // More windows than gradients are measured on, so that the last of five shards has none; and those of a whole context.
  it.each([
    ["anchored", 40, 16, 5, 0],
    ["latent", 40, 16, 5, 3],
    ["latent", 5, 128, 2, 0],
    ["commuting", 5, 128, 3, 1],
  ] as const)("are those of one machine: %s, %i windows of %i in %i shards, seed %i", async (...given) => {
    const [method, windows, window, count, seed] = given;
    const name = given.join("-");
    const text = { files: [tokenFile(await writeTinyTokens(at("long.u16"), 700))], windows, window };
    const options = { method, metric: "loss", seed, calibration: text } as const;
    const parts = Array.from({ length: count }, (_, index) => `${name}-${index + 1}`);
    for (const [index, part] of parts.entries())
      await measure(part, { ...options, shard: { index: index + 1, count } });
    await measure(`${name}-whole`, options);
    await merge(parts, `${name}-merged`);
    const [whole, merged] = [await moments(`${name}-whole`), await moments(`${name}-merged`)];
    expect(merged.description).toEqual({ ...whole.description, seed: String(seed) });
    for (const [layer, stage] of whole.layers.entries()) {
      const taps = Object.keys(stage);
      expect(taps).toContain(method === "anchored" || window < 128 ? "gradientsBeforeRope" : "gradients");
      expect(Object.keys(merged.layers[layer]!)).toEqual(taps);
      for (const tap of taps) {
        const [one, sum] = [stage[tap]!, merged.layers[layer]![tap]!];
        expect(sum.count).toBe(one.count);
        // Sums of a few windows are float32, and shards add others together.
        expect(largestError(sum.gram, one.gram)).toBeLessThan(1e-6);
        expect(Math.max(...one.gram)).toBeGreaterThan(0);
      }
    }
    const work = {
      model,
      keep: "1/2",
      method,
      metric: "loss",
      seed,
      heal: "none",
      budget: "uniform",
    } as const;
    const [fromText, fromMoments] = [at(`${name}-from-text`), at(`${name}-from-moments`)];
    await foldCheckpoint({ ...work, calibration: text, output: fromText }, quietContext);
    // Without text there is nothing to run a backward pass on.
    await foldCheckpoint({ ...work, moments: at(`${name}-merged`), output: fromMoments }, quietContext);
    expect(await retainedOf(fromMoments)).toBe(await retainedOf(fromText));
    await foldCheckpoint(
      { ...work, metric: "output", calibration: text, output: at(`${name}-plain`) },
      quietContext,
    );
    expect(await retainedOf(at(`${name}-plain`))).not.toBe(await retainedOf(fromText));
    if (count !== 5) return;
    const alone = foldCheckpoint(
      { ...work, moments: at(parts[4]!), output: at(`${name}-alone`) },
      quietContext,
    );
    expect((await failureOf(alone)).message).toMatch(
      /holds .* of no tokens in layer 0: it is a shard of a measurement; add all shards with kvfold merge/,
    );
  });

  it("are missing from moments that were measured without", async () => {
    await merge(shards, "without");
    const options = { model, keep: "1/2", method: "latent", metric: "loss", heal: "none" } as const;
    const fold = foldCheckpoint({ ...options, moments: at("without"), output: at("refused") }, quietContext);
    expect(await failureOf(fold)).toMatchObject({
      code: "malformed-file",
      message: `${at("without")} holds no gradients of the loss (gradientsBeforeRope), which --metric loss weighs errors by; measure again with kvfold measure --metric loss --method latent, or leave out --metric loss`,
    });
  });

  it("are kept by a fold that measures them", async () => {
    const options = {
      model,
      keep: "1/2",
      method: "anchored",
      metric: "loss",
      heal: "none",
      seed: 2,
    } as const;
    const saved = { ...options, calibration, saveMoments: at("kept"), output: at("keeping") };
    const notices: string[] = [];
    const context = { ...quietContext, onNotice: (text: string) => void notices.push(text) };
    await foldCheckpoint(saved, context);
    expect(notices).toEqual([]);
    const again = { ...options, calibration, moments: at("kept"), output: at("from-kept") };
    await foldCheckpoint(again, context);
    expect(notices).toEqual(["seed 2 is not used: method anchored draws no random numbers"]);
    expect(await retainedOf(at("from-kept"))).toBe(await retainedOf(at("keeping")));
  });

  it("are drawn by one seed, which only they need", async () => {
    const notices: string[] = [];
    const context = { ...quietContext, onNotice: (text: string) => void notices.push(text) };
    const options = { model, calibration, method: "latent", shard: { index: 2, count: 2 } } as const;
    await measureMoments({ ...options, seed: 1, output: at("undrawn") }, context);
    expect(notices).toEqual(["seed 1 is not used: only metric loss draws random numbers"]);
    await measure("drawn-1", { ...options, metric: "loss", shard: { index: 1, count: 2 } });
    await measure("drawn-2", { ...options, metric: "loss", seed: 1 });
    expect((await failureOf(merge(["drawn-1", "drawn-2"], "mixed-seeds"))).message).toMatch(
      /drawn-2 is of another measurement than .*drawn-1: seed is 1, not 0/,
    );
  });
});

/** What a fold's bases keep, to five digits. */
async function retainedOf(folder: string): Promise<string> {
  const record = JSON.parse(await readFile(join(folder, "kvfold.json"), "utf8")) as {
    readonly retained: unknown;
  };
  return JSON.stringify(record.retained, (_, value: unknown) =>
    typeof value === "number" ? Number(value.toPrecision(5)) : value,
  );
}

describe("merging names what is wrong", () => {
  it("a shard that is missing, with what measures it again", async () => {
    const error = await failureOf(merge([shards[0]!, shards[2]!], "lost"));
    expect(error).toMatchObject({
      code: "usage",
      message:
        "shard 2/3 is missing; measure again with --shard 2/3, with the options of the others, and name that file too",
    });
    await measure("again", { method: "latent", shard: { index: 2, count: SHARDS } });
    expect(await readFile(at("again"))).toEqual(await readFile(at(shards[1]!)));
  });

  it("a shard that is given twice, one of another text, and a file that is no shard", async () => {
    expect((await failureOf(merge([shards[0]!, shards[0]!], "twice"))).message).toMatch(
      /part-1 and .*part-1 are both shard 1\/3; name one of them/,
    );
    const other = { ...calibration, windows: 18 };
    await measure("other", { method: "latent", calibration: other, shard: { index: 2, count: SHARDS } });
    expect((await failureOf(merge([shards[0]!, "other", shards[2]!], "mixed"))).message).toMatch(
      /other is of another measurement than .*part-1: windows is 18, not 20; merge the shards/,
    );
    await measure("alone");
    expect((await failureOf(merge(["alone"], "none"))).message).toMatch(
      /alone does not say which shard it is; name files that kvfold measure --shard wrote/,
    );
  });
});

describe("shards of windows", () => {
  it("have each window once", () => {
    const ranges = [1, 2, 3, 4, 5].map((index) => shardWindows({ index, count: 5 }, 13));
    expect(ranges.map(({ end, start }) => end - start)).toEqual([2, 3, 2, 3, 3]);
    expect(ranges.map(({ start }) => start)).toEqual([0, ...ranges.slice(0, -1).map(({ end }) => end)]);
    expect(() => shardWindows({ index: 1, count: 14 }, 13)).toThrow(/has 13 windows; .*13 shards at most/);
  });

  it.each(["0/3", "4/3", "3", "1/0", "-1/3", "1/3/5", "1.5/3", "1/1000000"])("%s is none", (text) => {
    expect(parseShard(text)).toBeUndefined();
  });
});

/** By the size of the largest number. */
function largestError(found: Float64Array, expected: Float64Array): number {
  let [error, largest] = [0, 0];
  for (const [index, value] of expected.entries()) {
    error = Math.max(error, Math.abs(found[index]! - value));
    largest = Math.max(largest, Math.abs(value));
  }
  return largest === 0 ? error : error / largest;
}
