import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { loadMoments } from "@kvfold/calibration";
import { bytesSource } from "@kvfold/safetensors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { quietContext } from "../src/jobs/job.js";
import { measureMoments } from "../src/jobs/measure.js";
import { mergeMomentFiles } from "../src/jobs/merge-moments.js";
import { parseShard, shardWindows } from "../src/jobs/shard.js";
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
    const record = async (folder: string) =>
      JSON.parse(await readFile(join(folder, "kvfold.json"), "utf8")) as { readonly retained: unknown };
    const retained = JSON.stringify((await record(fromMoments)).retained, (_, value: unknown) =>
      typeof value === "number" ? Number(value.toPrecision(5)) : value,
    );
    expect(retained).toBe(
      JSON.stringify((await record(fromText)).retained, (_, value: unknown) =>
        typeof value === "number" ? Number(value.toPrecision(5)) : value,
      ),
    );
  });
});

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
