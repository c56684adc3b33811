/** Caches of fewer bits, from the fold that writes their graphs to the runs that use them. */
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { benchModels } from "../src/jobs/bench.js";
import { evaluatePolicies } from "../src/jobs/evaluate-policies.js";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { generateText } from "../src/jobs/generate.js";
import { quietContext } from "../src/jobs/job.js";
import { cacheUse } from "../src/models/cache-graph.js";
import { tokenIdFile } from "../src/tokens/read-tokens.js";
import { makeFolder, removeFolder } from "./support.js";
import { writeTinyLlama } from "./tiny-llama.js";

let folder: string;
/** The tiny Llama, which always says " b": a checkpoint, and that in graphs, one of them with a cache of 8 bits. */
let checkpoint: string;
let model: string;

beforeAll(async () => {
  folder = await makeFolder();
  [checkpoint, model] = [join(folder, "checkpoint"), join(folder, "model")];
  await mkdir(checkpoint);
  await writeTinyLlama(checkpoint, {});
  await foldCheckpoint({ model: checkpoint, output: model, keep: "1", cacheBits: [8] }, quietContext);
  return () => removeFolder(folder);
});

const generate = (options: Partial<generateText.Options>) =>
  generateText({ model, prompt: "a", maxNewTokens: 3, ...options }, quietContext);

describe("a cache of fewer bits", () => {
  it("has a graph where the fold was asked for it", async () => {
    const graphs = (await readdir(join(model, "onnx"))).filter((name) => name.includes("policy"));
    expect(graphs.toSorted()).toEqual(["model_policy.onnx", "model_policy_int8.onnx"]);
  });

  it("is used alone and with policies, and kept in a file", async () => {
    expect((await generate({ cache: "int8" })).text).toBe(" b b b");
    const saved = join(folder, "story.cache");
    const cache = "keydiff:0.5,int8";
    expect((await generate({ cache, saveCache: saved })).text).toBe(" b b b");
    expect((await generate({ cache, loadCache: saved })).text).toBe(" b b b");
    await expect(generate({ loadCache: saved })).rejects.toThrow(/expected format/);
  });

  it("is had from a checkpoint without a fold", async () => {
    expect((await generate({ model: checkpoint, cache: "int4" })).text).toBe(" b b b");
  });

  it("is measured on continued text", async () => {
    const tokens = join(folder, "text.u16");
    await writeFile(tokens, new Uint8Array(Uint16Array.from({ length: 9 }, (_, index) => index % 2).buffer));
    const options = { models: [model], files: [tokenIdFile(tokens)], window: 8, cache: ["int8"] };
    const { continuations } = await evaluatePolicies(options, quietContext);
    const [whole, coded] = continuations;
    expect(whole).toMatchObject({ held: 1, ratio: 1, tokens: 5 });
    expect(coded).toMatchObject({ cache: "int8", held: 1, tokens: 5 });
    // Each has the bytes of its own graph: the whole cache is one of floats.
    expect(coded!.cacheBytesPerToken).toBeLessThan(whole!.cacheBytesPerToken / 2);
  });

  it("is timed against a cache of floats", async () => {
    const bench = { models: [model], contexts: [16], tokens: 2, repeats: 1 } as const;
    const floats = await benchModels({ ...bench, cache: ["keydiff:0"] }, quietContext);
    const coded = await benchModels({ ...bench, cache: ["int8"] }, quietContext);
    expect(coded.models).toEqual(floats.models);
    const [whole, int8] = coded.measurements;
    expect(whole).toMatchObject({ decode: { ratio: 1 } });
    expect(int8).toMatchObject({ cache: "int8" });
    expect(int8!.cacheBytes).toBeLessThan(floats.measurements[1]!.cacheBytes! / 2);
  });

  it("is refused with what to do where a folder has no graph for it", async () => {
    await expect(generate({ cache: "int4" })).rejects.toThrow(
      /has no graph for --cache int4 \(onnx\/model_policy_int4\.onnx\); add it with kvfold add-graphs --cache-bits 4, or leave out int4$/,
    );
  });

  it("is the same for all lists of policies", () => {
    expect(cacheUse(["keydiff:0.5", "snapkv:0.5"])).toBe("policies");
    expect(cacheUse(["int8", "keydiff:0.5,int8"])).toBe("int8");
    expect(() => cacheUse(["keydiff:0.5", "keydiff:0.5,int8"])).toThrow(/give all of them the same bits/);
  });
});
