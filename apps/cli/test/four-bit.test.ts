import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { benchModels } from "../src/jobs/bench.js";
import { evaluateModels } from "../src/jobs/evaluate.js";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { generateText } from "../src/jobs/generate.js";
import { inspectModel } from "../src/jobs/inspect.js";
import { quietContext } from "../src/jobs/job.js";
import { tokenFile } from "../src/tokens/read-tokens.js";
import { makeFolder, ROPE_MODEL, removeFolder, VALIDATION_TOKENS } from "./support.js";

const files = [tokenFile(VALIDATION_TOKENS)];
let folder: string;
let model: string;

beforeAll(async () => {
  folder = await makeFolder();
  model = join(folder, "half");
  const options = { model: ROPE_MODEL, output: model, keep: "1/2", method: "svd-w" } as const;
  await foldCheckpoint({ ...options, dtypes: ["q4"] }, quietContext);
  return () => removeFolder(folder);
});

describe("a model in four bits", () => {
  it("is what its commands find where there is no other", async () => {
    const inspection = await inspectModel({ model }, quietContext);
    expect(inspection).toMatchObject({ kind: "onnx", cache: { type: "float32", bytesPerToken: 6144 } });
    const prompt = { model, prompt: "It was a dark and", maxNewTokens: 6 };
    const text = await generateText(prompt, quietContext);
    expect(text.tokens).toBe(6);
    expect((await generateText({ ...prompt, dtype: "q4" }, quietContext)).text).toBe(text.text);
    const bench = { models: [model], contexts: [16], tokens: 2, repeats: 1, dtype: "q4" } as const;
    expect((await benchModels(bench, quietContext)).measurements).toHaveLength(1);
  });

  it("predicts almost as well as its checkpoint, which is exported to four bits on request", async () => {
    const options = { models: [ROPE_MODEL], files, windows: 2, window: 256 };
    const [original] = (await evaluateModels(options, quietContext)).models;
    const [quantised] = (await evaluateModels({ ...options, dtype: "q4" }, quietContext)).models;
    // 1.036 on 64 whole windows (docs/results.md).
    const ratio = quantised!.perplexity / original!.perplexity;
    expect(ratio).toBeGreaterThan(1);
    expect(ratio).toBeLessThan(1.1);
  });
});
