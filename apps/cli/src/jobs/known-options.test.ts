import { describe, expect, it } from "vitest";
import { addGraphsToFolder } from "./add-graphs.js";
import { evaluateModels } from "./evaluate.js";
import { foldCheckpoint } from "./fold.js";
import { quietContext } from "./job.js";
import { calibrationOptions, requireKnown } from "./known-options.js";
import { planCheckpoint } from "./plan.js";
import { serveModel } from "./serve.js";

const names = {
  model: true,
  keySpan: true,
  valueSpan: true,
  windows: true,
  text: calibrationOptions,
} as const;
const check = (options: object) => () =>
  requireKnown("job", options as Parameters<typeof requireKnown>[1], names);

describe("requireKnown", () => {
  it("takes all options that a job has, and those that are left out", () => {
    for (const options of [{}, { model: "a", text: { files: [], window: 4 } }, { text: undefined }])
      expect(check(options)()).toBe(options);
  });

  it.each([
    [
      "names that hold the word",
      { span: 2 },
      "job: expected options that it has, found span; did you mean keySpan or valueSpan?",
    ],
    ["a name but for its case", { keyspan: 2 }, /found keyspan; did you mean keySpan\?$/],
    ["a name that is spelt wrong", { modle: "a" }, /found modle; did you mean model\?$/],
    [
      "all where none is near",
      { existing: "replace" },
      /found existing; it has model, keySpan, valueSpan, windows, text$/,
    ],
    [
      "those of an object among the options",
      { text: { windws: 2 } },
      /^job: text: .* found windws; did you mean window/,
    ],
  ])("refuses others, and says %s", (_, options, message) => {
    expect(check(options)).toThrow(expect.objectContaining({ code: "usage" }));
    expect(check(options)).toThrow(message);
  });
});

describe("a job with an option that it does not have does nothing", () => {
  const span = { span: 4 };

  it("neither folds nor plans", async () => {
    const fold = { model: "nowhere", output: "nowhere", keep: "1/2", ...span };
    await expect(foldCheckpoint(fold, quietContext)).rejects.toThrow(
      /^foldCheckpoint: .* found span; did you mean keySpan or valueSpan\?$/,
    );
    await expect(planCheckpoint({ model: "nowhere", ...span })).rejects.toThrow(
      /^planCheckpoint: .* found span/,
    );
  });

  it("does not evaluate", async () => {
    const evaluation = { models: ["nowhere"], files: [], shift: [1] };
    await expect(evaluateModels(evaluation, quietContext)).rejects.toThrow(
      /^evaluateModels: .* found shift; did you mean shifts\?$/,
    );
  });

  it("neither adds graphs nor serves", async () => {
    const graphs = { folder: "nowhere", original: "nowhere", bits: [8] };
    await expect(addGraphsToFolder(graphs, quietContext)).rejects.toThrow(
      /^addGraphsToFolder: .* found bits; did you mean cacheBits\?$/,
    );
    const limits = { maxBatch: 1, maxBodyBytes: 1, maxNewTokens: 1, maxQueue: 1, timeoutSeconds: 1 };
    const server = { ...limits, model: "nowhere", host: "127.0.0.1", port: 0, batch: 2 };
    await expect(serveModel(server, quietContext)).rejects.toThrow(
      /^serveModel: .* found batch; did you mean maxBatch\?$/,
    );
  });
});
