import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openCheckpoint } from "@kvfold/decoder";
import { directorySource } from "@kvfold/decoder/node";
import { describe, expect, it } from "vitest";
import { exportGenai } from "../../../packages/decoder/test/exporters/genai.js";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { inspectModel } from "../src/jobs/inspect.js";
import { type Progress, quietContext } from "../src/jobs/job.js";
import { planCheckpoint } from "../src/jobs/plan.js";
import { locateModel } from "../src/models/locate-model.js";
import { renderInspection } from "../src/render/inspection.js";
import { tokenFile } from "../src/tokens/read-tokens.js";
import { coloursFor } from "../src/ui/terminal.js";
import { abortingContext, CALIBRATION_TOKENS, failureOf, ROPE_MODEL, temporaryFolder } from "./support.js";
import { tinyLlama } from "./tiny-llama.js";

const calibration = { files: [tokenFile(CALIBRATION_TOKENS)], windows: 2, window: 128 };
const half = { model: ROPE_MODEL, keep: "1/2" };

const fold = (options: foldCheckpoint.Options) => foldCheckpoint(options, quietContext);

describe("foldCheckpoint", () => {
  it("writes a folder with model, tokenizer and a record of what was done", async () => {
    const folder = await temporaryFolder();
    const output = join(folder, "half");
    const result = await fold({
      ...half,
      output,
      method: "paper",
      calibration,
      dtypes: ["fp32", "fp16", "q4"],
    });
    expect(Object.keys(result)).toEqual([
      "output",
      "device",
      "plan",
      "seconds",
      "peakBytes",
      "cacheBytesPerToken",
    ]);
    expect(result.cacheBytesPerToken).toEqual({ before: 12_288, after: 6144 });
    expect(await readdir(folder)).toEqual(["half"]);
    expect((await readdir(output)).sort()).toEqual([
      "README.md",
      "config.json",
      "genai_config.json",
      "kvfold.json",
      "onnx",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    expect((await readdir(join(output, "onnx"))).sort()).toEqual([
      "model.onnx",
      "model.onnx_data",
      "model_delta.onnx",
      "model_fp16.onnx",
      "model_fp16.onnx_data",
      "model_fp16_delta.onnx",
      "model_fp16_policy.onnx",
      "model_policy.onnx",
      "model_q4.onnx",
      "model_q4.onnx_data",
      "model_q4_delta.onnx",
      "model_q4_policy.onnx",
    ]);
    const record = JSON.parse(await readFile(join(output, "kvfold.json"), "utf8")) as Record<string, unknown>;
    expect(record).toMatchObject({
      model: "prose-6m",
      reference: expect.stringContaining("2406.07056"),
      calibration: { files: ["calibration.u16"], windows: 2, window: 128, tokens: 256 },
    });
  });

  it("writes files for llama.cpp beside graphs, and says that it does not run them", async () => {
    const folder = await temporaryFolder();
    const output = join(folder, "half");
    const formats = ["onnx", "gguf"] as const;
    await fold({ ...half, output, method: "mean", formats, dtypes: ["fp32", "q8"] });
    expect((await readdir(output)).sort()).toEqual([
      "README.md",
      "config.json",
      "genai_config.json",
      "kvfold.json",
      "model-f32.gguf",
      "model-q8_0.gguf",
      "onnx",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    const alone = join(folder, "alone");
    await fold({ ...half, output: alone, method: "mean", formats: ["gguf"], dtypes: ["fp16"] });
    expect((await readdir(alone)).sort()).toEqual(["README.md", "kvfold.json", "model-f16.gguf"]);
    expect(JSON.parse(await readFile(join(alone, "kvfold.json"), "utf8"))).toMatchObject({
      plan: { formats: ["gguf"], dtypes: ["fp16"], method: "mean" },
    });
    for (const path of [alone, join(alone, "model-f16.gguf")]) {
      const message = await failureOf(locateModel(path));
      expect(message).toMatchObject({
        message: expect.stringMatching(/model-f16\.gguf is for llama\.cpp; fold with/),
      });
    }
  });

  it("folds alike from text and from the moments measured on it", async () => {
    const folder = await temporaryFolder();
    const moments = join(folder, "moments.safetensors");
    const [fromText, fromMoments] = [join(folder, "text"), join(folder, "moments")];
    await fold({ ...half, output: fromText, method: "svd-a", calibration, saveMoments: moments });
    await fold({ ...half, output: fromMoments, method: "svd-a", moments });
    const weights = (output: string) => readFile(join(output, "onnx", "model.onnx_data"));
    expect((await weights(fromMoments)).equals(await weights(fromText))).toBe(true);
  });

  it("asks for text to heal on, even with moments", async () => {
    const folder = await temporaryFolder();
    const moments = join(folder, "moments.safetensors");
    const options = { ...half, method: "svd-a", output: join(folder, "half") };
    await fold({ ...options, calibration, saveMoments: moments });
    const healed = { ...options, output: join(folder, "healed"), moments, heal: "attention" } as const;
    expect(await failureOf(fold(healed))).toMatchObject({
      code: "calibration-missing",
      message: expect.stringContaining("--heal none") as string,
    });
    const { plan } = await fold({ ...healed, calibration });
    expect(plan.heal).toBe("attention");
  });

  it("names moments that do not fit the model", async () => {
    const folder = await temporaryFolder();
    const moments = join(folder, "moments.safetensors");
    await fold({ ...half, output: join(folder, "a"), method: "svd-a", calibration, saveMoments: moments });
    const shallow = await copyWithConfig(join(folder, "shallow"), { num_hidden_layers: 5 });
    const options = { model: shallow, keep: "1/2", output: join(folder, "b"), method: "svd-a", moments };
    const error = await failureOf(fold(options));
    expect(error.code).toBe("malformed-file");
    expect(error.message).toContain("6 layers, but the model has 5");
  });

  it("settles a budget, and says and writes which ranks it gave", async () => {
    const output = join(await temporaryFolder(), "half");
    const result = await fold({ ...half, output, method: "svd-w", budget: "lorc-progressive" });
    expect(result.plan).toMatchObject({ budget: "lorc-progressive", settled: true });
    expect(result.cacheBytesPerToken).toEqual({ before: 12_288, after: 6144 });
    expect(new Set(result.plan.layers.map(({ keys }) => keys.rank)).size).toBeGreaterThan(1);
    const record = JSON.parse(await readFile(join(output, "kvfold.json"), "utf8")) as { plan: unknown };
    expect(record.plan).toEqual(result.plan);
    const inspected = await inspectModel({ model: output }, quietContext);
    expect(inspected).toMatchObject({ kvHeads: 4, headDim: null, cache: { bytesPerToken: 6144 } });
    expect(renderInspection(inspected, coloursFor({ isTTY: false }))).toContain(
      "4 KV heads of various sizes",
    );
  });

  it("asks for text where the budget needs it", async () => {
    const output = join(await temporaryFolder(), "half");
    const options = { ...half, output, method: "svd-w", budget: "knapsack" };
    const error = await failureOf(fold(options));
    expect(error.code).toBe("calibration-missing");
    expect(error.message).toMatch(
      /budget knapsack runs the model on text; .* or do without it by --budget uniform/,
    );
  });

  it("asks for text where the method needs it", async () => {
    const output = join(await temporaryFolder(), "half");
    const error = await failureOf(fold({ ...half, output, method: "svd-a" }));
    expect(error.code).toBe("calibration-missing");
    expect(error.message).toContain("calibration: method svd-a");
    expect(error.message).toContain("--moments");
  });

  it("refuses to keep measurements of a method that makes none", async () => {
    const folder = await temporaryFolder();
    const [output, saveMoments] = [join(folder, "half"), join(folder, "moments")];
    const error = await failureOf(fold({ ...half, output, method: "svd-w", saveMoments }));
    expect(error.code).toBe("usage");
    expect(await readdir(folder)).toEqual([]);
  });

  it.each(["refuse", "replace"] as const)("never overwrites what it did not write (%s)", async (existing) => {
    const output = await temporaryFolder();
    await writeFile(join(output, "thesis.txt"), "dear to someone");
    const error = await failureOf(fold({ ...half, output, method: "svd-w", existing }));
    expect(error.code).toBe("output-exists");
    expect(await readdir(output)).toEqual(["thesis.txt"]);
  });

  it("replaces an earlier output when asked to, and only then", async () => {
    const output = join(await temporaryFolder(), "out");
    await fold({ ...half, output, method: "svd-w" });
    expect(await failureOf(fold({ ...half, output, method: "svd-w" }))).toMatchObject({
      code: "output-exists",
    });
    await fold({ model: ROPE_MODEL, keep: "1/4", output, method: "svd-w", existing: "replace" });
    const record = JSON.parse(await readFile(join(output, "kvfold.json"), "utf8")) as {
      plan: { keep: string };
    };
    expect(record.plan.keep).toBe("1/4");
  });

  it("never replaces the folder that holds the model", async () => {
    const folder = await temporaryFolder();
    const model = await copyWithConfig(join(folder, "model"), {});
    await writeFile(join(folder, "kvfold.json"), "{}");
    for (const output of [model, folder]) {
      const error = await failureOf(
        fold({ model, keep: "1/2", output, method: "svd-w", existing: "replace" }),
      );
      expect(error.code).toBe("output-exists");
    }
    expect(await readdir(model)).toContain("model.safetensors");
  });

  it.each([1, 4, 9])("leaves nothing behind when it is aborted after %d reports", async (count) => {
    const folder = await temporaryFolder();
    const options = { ...half, output: join(folder, "half"), method: "svd-a", calibration };
    expect(await failureOf(foldCheckpoint(options, abortingContext(count)))).toMatchObject({
      code: "aborted",
    });
    expect(await readdir(folder)).toEqual([]);
  });

  it("goes on where an earlier run was stopped, and writes what one that was not writes", async () => {
    const folder = await temporaryFolder();
    const [whole, output, journal] = [join(folder, "whole"), join(folder, "half"), join(folder, ".journal")];
    const options = { ...half, method: "svd-a", heal: "attention", calibration } as const;
    await fold({ ...options, output: whole });
    // Two reports for the embedding, then 12 a block; two of the next one's come before a block is written.
    const stopped = foldCheckpoint({ ...options, output, journal }, abortingContext(34));
    expect(await failureOf(stopped)).toMatchObject({ code: "aborted" });
    expect(await readdir(folder)).toEqual([".journal", "whole"]);

    const other = await failureOf(fold({ ...options, keep: "1/4", output, journal }));
    expect(other).toMatchObject({
      code: "unusable-journal",
      message: expect.stringContaining("keep was 1/2 and is 1/4") as string,
    });
    const labels = new Set<string>();
    const onProgress = ({ label }: Progress) => void labels.add(label);
    await foldCheckpoint({ ...options, output, journal }, { ...quietContext, onProgress });
    expect([...labels][0]).toBe("layer 3/6: measure");
    expect((await readdir(folder)).toSorted()).toEqual(["half", "whole"]);
    expect(await contentOf(output)).toEqual(await contentOf(whole));
  });

  it("folds a graph that another tool wrote, named by its file, to what its checkpoint folds to", async () => {
    const [checkpoint, folder] = [await tinyLlama(), await temporaryFolder()];
    const graph = join(folder, "graph");
    await cp(checkpoint, graph, { recursive: true });
    const { bytes, externalData = [] } = await exportGenai(
      await openCheckpoint(await directorySource(graph)),
    );
    await rm(join(graph, "model.safetensors"));
    await writeFile(join(graph, "model.onnx"), bytes);
    for (const { path, data } of externalData) await writeFile(join(graph, path), data);
    const weights = async (model: string, output: string) => {
      await fold({ model, keep: "1/2", method: "svd-w", output });
      return readFile(join(output, "onnx/model.onnx_data"));
    };
    const found = await weights(join(graph, "model.onnx"), join(folder, "of-graph"));
    expect(found.equals(await weights(checkpoint, join(folder, "of-checkpoint")))).toBe(true);
    expect(await readdir(join(folder, "of-graph"))).toContain("tokenizer.json");
  });

  it("refuses a graph that kvfold wrote and a folder that is no model", async () => {
    const folder = await temporaryFolder();
    const output = join(folder, "half");
    await fold({ ...half, output, method: "svd-w" });
    const again = await failureOf(
      fold({ model: output, keep: "1/2", output: join(folder, "b"), method: "svd-w" }),
    );
    expect(again.code).toBe("unsupported-model");
    const missing = await failureOf(
      fold({ model: join(folder, "nowhere"), keep: "1/2", output: join(folder, "b") }),
    );
    expect(missing.code).toBe("unreadable-file");
  });
});

describe("planCheckpoint", () => {
  it("takes spans for keys and values apart", async () => {
    const plan = await planCheckpoint({ ...half, method: "svd-a", keySpan: 8, valueSpan: 4 });
    expect(plan.layers).toHaveLength(6);
    expect(plan.layers[0]).toEqual({
      keys: { span: 8, heads: 1, rank: 128 },
      values: { span: 4, heads: 2, rank: 64 },
    });
  });

  it.each([{ keep: "1/3", method: "mean" }, { keep: "2" }, { keep: "half" }, { keep: "1/2", keySpan: 3 }])(
    "names an option that does not fit the heads: %j",
    async (options) => {
      const error = await failureOf(planCheckpoint({ model: ROPE_MODEL, method: "svd-a", ...options }));
      expect(error.code).toBe("invalid-option");
    },
  );
});

/** What a fold wrote, but for the time. */
async function contentOf(output: string) {
  const read = (path: string) => readFile(join(output, path));
  const record = JSON.parse((await read("kvfold.json")).toString("utf8")) as Record<string, unknown>;
  const files = ["config.json", "onnx/model.onnx", "onnx/model.onnx_data"];
  const digests = files.map(async (path) =>
    createHash("sha256")
      .update(await read(path))
      .digest("hex"),
  );
  return { record: { ...record, created: "", seconds: 0 }, digests: await Promise.all(digests) };
}

/** The model with some fields of its config changed. */
async function copyWithConfig(folder: string, fields: Record<string, unknown>): Promise<string> {
  await mkdir(folder, { recursive: true });
  await cp(ROPE_MODEL, folder, { recursive: true });
  const path = join(folder, "config.json");
  const config = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  await writeFile(path, JSON.stringify({ ...config, ...fields }));
  return folder;
}
