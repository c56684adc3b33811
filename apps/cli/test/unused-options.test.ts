/** Options that a model or a plan has no use for are refused or named, never ignored in silence. */
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeProvider } from "@kvfold/runtime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { evaluateModels } from "../src/jobs/evaluate.js";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { inspectModel } from "../src/jobs/inspect.js";
import { quietContext } from "../src/jobs/job.js";
import { findModels } from "../src/models/find-model.js";
import { withModels } from "../src/models/open-model.js";
import { tokenFile } from "../src/tokens/read-tokens.js";
import { failureOf, makeFolder, removeFolder } from "./support.js";
import { writeTinyModel, writeTinyTokens } from "./tiny-model.js";

let root: string;
let model: string;
let files: readonly ReturnType<typeof tokenFile>[];
beforeAll(async () => {
  root = await makeFolder();
  model = await writeTinyModel(join(root, "tiny"));
  files = [tokenFile(await writeTinyTokens(join(root, "tokens.u16")))];
});
afterAll(() => removeFolder(root));

const provider = nodeProvider();

const listening = () => {
  const notices: string[] = [];
  return { notices, context: { ...quietContext, onNotice: (text: string) => void notices.push(text) } };
};

describe("a window beyond the context", () => {
  const usage = {
    code: "usage",
    message: expect.stringMatching(/^--window 129: the context of .*tiny is 128/) as string,
  };
  const calibration = () => ({ files, window: 129 });

  it("is refused by fold, inspect and eval", async () => {
    const output = join(root, "half");
    const fold = foldCheckpoint(
      { model, output, keep: "1/2", method: "svd-a", calibration: calibration() },
      quietContext,
    );
    expect(await failureOf(fold)).toMatchObject(usage);
    expect(await failureOf(inspectModel({ model, calibration: calibration() }, quietContext))).toMatchObject(
      usage,
    );
    expect(
      await failureOf(evaluateModels({ models: [model], files, window: 129 }, quietContext)),
    ).toMatchObject(usage);
  });
});

describe("what nothing reads is named", () => {
  it("by fold: text, and a seed that nothing draws from", async () => {
    const { notices, context } = listening();
    const output = join(root, "unmeasured");
    await foldCheckpoint(
      { model, output, keep: "1/2", method: "svd-w", seed: 3, calibration: { files } },
      context,
    );
    expect(notices).toEqual([
      "seed 3 is not used: method svd-w draws no random numbers",
      "calibration is not used: nothing is measured, healed or rounded to four bits, and the budget needs no text",
    ]);
  });

  it("by fold: number types, where a checkpoint alone is written", async () => {
    const { notices, context } = listening();
    const output = join(root, "halves");
    await foldCheckpoint(
      { model, output, keep: "1/2", method: "mean", formats: ["hf"], dtypes: ["fp16", "q4"] },
      context,
    );
    expect(notices).toEqual([
      "dtype q4 is not used: a checkpoint (format hf) holds one float type, here fp16",
    ]);
    const both = listening();
    await foldCheckpoint(
      { model, output: join(root, "eights"), keep: "1", formats: ["onnx", "hf"], dtypes: ["fp32", "q8"] },
      both.context,
    );
    expect(both.notices).toEqual(["dtype q8 is not used: no file of format onnx,hf is written in it"]);
  });

  it("of the checkpoint, on the way and in kvfold.json", async () => {
    const odd = await writeTinyModel(join(root, "odd"), { my_new_gate: true });
    const { notices, context } = listening();
    const output = join(root, "odd-half");
    await foldCheckpoint({ model: odd, output, keep: "1/2", method: "svd-w" }, context);
    expect(notices).toEqual([expect.stringContaining("does not know my_new_gate")]);
    const record = JSON.parse(await readFile(join(output, "kvfold.json"), "utf8")) as { notices: unknown };
    expect(record.notices).toEqual(notices);
  });

  it("of the Hub's options, where all models are here", async () => {
    const { notices, context } = listening();
    await findModels([model], { cacheFolder: root, revision: "v1" }, context);
    expect(notices).toEqual([`--revision v1 is not used: ${model} is here, or names a revision itself`]);
  });

  it("of --dtype, where the model is one graph", async () => {
    const { notices, context } = listening();
    const graph = join(root, "unmeasured", "onnx", "model.onnx");
    const found = await findModels([graph], undefined, context);
    await withModels(found, { provider, dtype: "fp16" }, context, async () => {});
    expect(notices).toEqual([`--dtype fp16 is not used for ${graph}, which is one graph`]);
  });
});

describe("messages about a checkpoint that is run", () => {
  it("name it, and not the temporary export", async () => {
    const found = await findModels([model], undefined, quietContext);
    const failing = (text: (folder: string) => string) =>
      failureOf(
        withModels(found, { provider }, quietContext, ([opened]) =>
          Promise.reject(new Error(text(opened!.folder))),
        ),
      );
    const run = await failing((folder) => `run: failed on ${folder}/onnx/model.onnx: no`);
    expect(run.message).toBe(`run: failed on ${model}: no`);
    const disk = await failing((folder) => `${folder}/onnx/model.onnx_data: ENOSPC`);
    expect(disk.message).toBe(`the export of ${model} in ${tmpdir()}/onnx/model.onnx_data: ENOSPC`);
  });
});
