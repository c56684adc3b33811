import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { quietContext } from "../src/jobs/job.js";
import { tuneFolded } from "../src/jobs/tune.js";
import { createProgram } from "../src/program.js";
import { renderTuning } from "../src/render/tune.js";
import { tokenFile } from "../src/tokens/read-tokens.js";
import { failureOf, makeFolder, removeFolder } from "./support.js";
import { writeTinyModel, writeTinyTokens } from "./tiny-model.js";

let root: string;
let model: string;
let tokens: string;
const at = (name: string) => join(root, name);

beforeAll(async () => {
  root = await makeFolder();
  model = await writeTinyModel(at("tiny"));
  tokens = await writeTinyTokens(at("tokens.u16"));
  const fold = { model, output: at("half"), keep: "1/2", method: "svd-w", heal: "none" } as const;
  await foldCheckpoint(fold, quietContext);
});
afterAll(() => removeFolder(root));

const colours = { bold: (text: string) => text } as Parameters<typeof renderTuning>[1];
const options = () => ({
  folded: at("half"),
  original: model,
  text: { files: [tokenFile(tokens)], window: 16 },
  steps: 2,
  windowsPerStep: 1,
  heldOut: 1,
  rank: 2,
  threads: 1,
});

it("tunes a folded model, and says how far it is and how it ended", async () => {
  const labels: string[] = [];
  const context = {
    ...quietContext,
    onProgress: ({ label }: { readonly label: string }) => void labels.push(label),
  };
  const result = await tuneFolded({ ...options(), output: at("tuned") }, context);
  expect(labels).toEqual(
    [1, 2].map((step) => expect.stringMatching(`^step ${step}/2: loss .*, held out .* left$`)),
  );
  expect(existsSync(at("tuned/onnx/model.onnx"))).toBe(true);
  expect(renderTuning(result, colours)).toMatch(
    /steps +2(, kept step \d)?\nwindows +2\nloss +\d+\.\d{4} -> \d+\.\d{4} nats per token\n/,
  );
});

it("refuses before it works", async () => {
  expect(await failureOf(tuneFolded({ ...options(), output: at("half") }, quietContext))).toMatchObject({
    code: "output-exists",
  });
  expect(
    await failureOf(tuneFolded({ ...options(), folded: model, output: at("x") }, quietContext)),
  ).toMatchObject({
    message: expect.stringContaining("it has no kvfold.json; name a folder that kvfold fold wrote") as string,
  });
  expect(
    await failureOf(tuneFolded({ ...options(), original: at("half"), output: at("x") }, quietContext)),
  ).toMatchObject({ code: "unsupported-model" });
  // DirectML is for Windows, Core ML for macOS.
  const device = process.platform === "win32" ? "coreml" : "dml";
  expect(await failureOf(tuneFolded({ ...options(), device, output: at("x") }, quietContext))).toMatchObject({
    code: "usage",
    message: expect.stringMatching(/^device: expected one of .*cpu.*, found /) as string,
  });
});

it("hands options to the job by their names", async () => {
  const asked: unknown[] = [];
  const run = async (...given: unknown[]) => {
    asked.push(...given.slice(0, 2));
    throw new Error("stop here");
  };
  const program = createProgram({ run, write() {}, colours } as unknown as Parameters<
    typeof createProgram
  >[0]);
  const line =
    "tune half --original tiny --text a.u16 -o out --windows 3 --parts query,latents --adapters keep --learning-rate 1e-3 --resume";
  await expect(program.parseAsync(line.split(" "), { from: "user" })).rejects.toThrow("stop here");
  expect(asked).toEqual([
    "tune",
    expect.objectContaining({
      folded: "half",
      original: "tiny",
      output: "out",
      windowsPerStep: 3,
      parts: ["query", "latents"],
      adapters: "keep",
      learningRate: 1e-3,
      resume: true,
      rank: 64,
      steps: 300,
    }),
  ]);
});
