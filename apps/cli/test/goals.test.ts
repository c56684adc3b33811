import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { firstLayers } from "../../../packages/converter/test/support/first-layers.js";
import type { BytesReport, LossReport } from "../src/goals/goal.js";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { quietContext } from "../src/jobs/job.js";
import { planCheckpoint } from "../src/jobs/plan.js";
import { renderFold } from "../src/render/fold.js";
import { tokenFile } from "../src/tokens/read-tokens.js";
import { coloursFor } from "../src/ui/terminal.js";
import { CALIBRATION_TOKENS, failureOf, makeFolder, ROPE_MODEL, removeFolder } from "./support.js";
import { writeTinyModel, writeTinyTokens } from "./tiny-model.js";

let root: string;
let model: string;
let calibration: foldCheckpoint.Options["calibration"];
beforeAll(async () => {
  root = await makeFolder();
  model = await writeTinyModel(join(root, "tiny"));
  await writeFile(join(model, "LICENSE"), "as you like");
  short.model = await writeShortModel(join(root, "short"));
  calibration = {
    files: [tokenFile(await writeTinyTokens(join(root, "tokens.u16"), 300))],
    windows: 8,
    window: 32,
  };
});
afterAll(() => removeFolder(root));

async function writeShortModel(folder: string): Promise<string> {
  const { config, weights } = await firstLayers(
    {
      config: await readFile(join(ROPE_MODEL, "config.json"), "utf8"),
      weights: await readFile(join(ROPE_MODEL, "model.safetensors")),
    },
    2,
  );
  await mkdir(folder);
  await writeFile(join(folder, "config.json"), config);
  await writeFile(join(folder, "model.safetensors"), weights);
  return folder;
}

const place = (name: string) => join(root, name);
const readRecord = async (name: string) =>
  JSON.parse(await readFile(join(place(name), "kvfold.json"), "utf8")) as Record<string, unknown>;

/** All files of an output but its record, which has times. */
async function filesOf(name: string): Promise<ReadonlyMap<string, string>> {
  const paths = await readdir(place(name), { recursive: true, withFileTypes: true });
  const files = paths.filter((entry) => entry.isFile() && entry.name !== "kvfold.json");
  const read = files.map(async ({ parentPath, name: file }) => {
    const bytes = await readFile(join(parentPath, file));
    return [join(parentPath.slice(place(name).length + 1), file), bytes.toString("base64")] as const;
  });
  return new Map(await Promise.all(read));
}

describe("fold --recipe", () => {
  it("repeats a fold to the byte", async () => {
    const options = {
      model,
      method: "anchored",
      keep: "3/8",
      seed: 0,
      calibration,
    } as const;
    await foldCheckpoint({ ...options, output: place("first") }, quietContext);
    const recipe = join(place("first"), "kvfold.json");
    const again = { files: calibration!.files };
    const notices: string[] = [];
    const context = { ...quietContext, onNotice: (text: string) => void notices.push(text) };
    const output = place("again");
    const { plan } = await foldCheckpoint({ model, recipe, calibration: again, output }, context);
    expect(notices).toEqual([]);
    const [first, second] = [await filesOf("first"), await filesOf("again")];
    expect([...first.keys()]).toContain("LICENSE");
    expect(second).toEqual(first);
    const [was, is] = [await readRecord("first"), await readRecord("again")];
    expect({ ...is, created: 0, seconds: 0 }).toEqual({ ...was, created: 0, seconds: 0 });
    expect(plan).toEqual(was.plan);
    expect((await planCheckpoint({ model, recipe })).keep).toBe("3/8");
    const other = await writeTinyTokens(place("other.u16"), 400);
    await writeFile(other, (await readFile(other)).subarray(2));
    const wrong = { files: [tokenFile(other)] };
    const failed = foldCheckpoint(
      { model, recipe, calibration: wrong, output: place("wrong") },
      quietContext,
    );
    expect(await failureOf(failed)).toMatchObject({
      code: "usage",
      message: expect.stringMatching(
        /^calibration: the first 8 windows of .*other.u16 are not those/,
      ) as string,
    });
  });

  it.each([
    ["{}", "malformed-file"],
    ["[", "malformed-file"],
    ['{"request":{"keep":"1/2","heal":1}}', "invalid-option"],
    ['{"request":{"keep":"1/2"},"calibration":{"windows":-1}}', "malformed-file"],
  ])("refuses %s", async (content, code) => {
    const recipe = place("bad.json");
    await writeFile(recipe, content);
    expect(
      await failureOf(foldCheckpoint({ model, recipe, output: place("bad") }, quietContext)),
    ).toMatchObject({ code });
    const missing = foldCheckpoint({ model, recipe: place("none.json"), output: place("bad") }, quietContext);
    expect(await failureOf(missing)).toMatchObject({ code: "unreadable-file" });
  });
});

describe("fold --max-bytes", () => {
  it("takes the largest share that fits", async () => {
    // 2 layers x 2 sides x 4 heads of 16 in float32, and a quarter of it.
    const plan = await planCheckpoint({ model, maxBytes: 300 });
    expect(plan.cacheBytesPerToken.before).toBe(1024);
    expect(plan.cacheBytesPerToken.after).toBeLessThanOrEqual(300);
    const goal = { maxBytes: 300 };
    const folded = await foldCheckpoint(
      { model, goal, method: "svd-w", output: place("bytes") },
      quietContext,
    );
    expect(folded.cacheBytesPerToken.after).toBe(plan.cacheBytesPerToken.after);
    expect(await readRecord("bytes")).toMatchObject({ request: { keep: folded.plan.keep } });
  });

  it("takes the method and budget that lose least there, by short folds", async () => {
    const options = { ...quick, ...short, goal: { maxBytes: 1024 } };
    const folded = await foldCheckpoint({ ...options, output: place("least") }, quietContext);
    const { compared } = folded.goal as BytesReport;
    const [chosen, other, hopeless] = compared.candidates;
    expect(chosen!.loss).toBeLessThanOrEqual(other!.loss!);
    expect(hopeless).toMatchObject({ method: "latent", keep: "1/4" });
    const { method, budget, keep } = folded.plan;
    expect(chosen).toMatchObject({ method, budget, keep });
    expect(folded.cacheBytesPerToken.after).toBe(1024);
    expect(await readRecord("least")).toMatchObject({
      request: { method, budget, keep },
      goal: folded.goal,
      calibration: { windows: 12 },
    });
  });

  it("folds nothing where the whole cache fits, and prefers where there is nothing to measure on", async () => {
    expect(await planCheckpoint({ model, maxBytes: 1024 })).toMatchObject({ method: "none", keep: "1" });
    expect(await planCheckpoint({ model, maxBytes: 512 })).toMatchObject({ method: "anchored", keep: "1/2" });
    const formats = ["hf"] as const;
    expect(await planCheckpoint({ model, maxBytes: 512, formats })).toMatchObject({ method: "commuting" });
  });
});

/** Two layers of prose-6m, and little text: folds of it lose more, in the same order. */
const short = {
  model: "",
  calibration: { files: [tokenFile(CALIBRATION_TOKENS)], windows: 12, window: 128 },
};
/** Several folds each: nothing is refitted. */
const quick = { heal: "none" } as const;

describe("fold --max-loss", () => {
  it("folds to a share that loses no more, and says what it measured", async () => {
    const output = place("within");
    const result = await foldCheckpoint(
      {
        ...quick,
        calibration,
        method: "anchored",
        budget: "uniform",
        model,
        goal: { maxLoss: 1e-3 },
        output,
      },
      quietContext,
    );
    const goal = result.goal as LossReport;
    expect(goal.compared).toBeUndefined();
    expect(goal.loss).toBeLessThanOrEqual(1e-3);
    expect(goal.heldOut).toEqual({ windows: 1, window: 32 });
    expect(goal.tried.at(-1)).toEqual({ keep: result.plan.keep, loss: goal.loss });
    expect(await readRecord("within")).toMatchObject({ goal, calibration: { windows: 7 } });
    expect(await readFile(join(output, "README.md"), "utf8")).toContain("on 1 windows of 32 tokens");
    expect(renderFold(result, coloursFor({ isTTY: false }))).toMatch(
      /perplexity +-?\d\.\d % more on 1 held-out windows/,
    );
    expect((await readdir(root)).filter((name) => name.includes("partial"))).toEqual([]);
  });

  it("leaves nothing behind where no share loses so little", async () => {
    const failed = foldCheckpoint(
      { ...quick, calibration, method: "latent", model, goal: { maxLoss: 1e-15 }, output: place("none") },
      quietContext,
    );
    expect(await failureOf(failed)).toMatchObject({
      code: "usage",
      message: expect.stringMatching(/no fold kept within it/) as string,
    });
    expect((await readdir(root)).filter((name) => name.includes("none"))).toEqual([]);
  });

  it("chooses method and budget by short folds, and repeats the choice from its record", async () => {
    const output = place("chosen");
    const notices: string[] = [];
    const context = { ...quietContext, onNotice: (text: string) => void notices.push(text) };
    const result = await foldCheckpoint({ ...quick, ...short, goal: { maxLoss: 0.05 }, output }, context);
    const { compared, tried } = result.goal as LossReport;
    const { candidates, windows } = compared!;
    expect(windows).toBe(3);
    expect(candidates.map(({ method }) => method)).toEqual(["anchored", "anchored", "latent"]);
    const [chosen, other, hopeless] = candidates;
    expect(chosen!.loss).toBeLessThanOrEqual(other!.loss!);
    expect(hopeless).toMatchObject({ budget: "uniform" });
    expect(hopeless!.loss).toBeUndefined();
    expect(hopeless!.estimate).toBeGreaterThan(4 * chosen!.estimate);
    expect(notices.filter((text) => text.includes("short fold"))).toHaveLength(3);
    expect(notices.filter((text) => text.includes("not tried"))).toHaveLength(1);
    expect(tried.length).toBeLessThanOrEqual(2);
    const { method, budget, keep } = result.plan;
    expect({ method, budget }).toEqual({ method: chosen!.method, budget: chosen!.budget });
    expect(await readRecord("chosen")).toMatchObject({ request: { method, budget }, goal: { compared } });
    const recipe = join(output, "kvfold.json");
    expect(await planCheckpoint({ model: short.model, recipe })).toMatchObject({ method, budget, keep });
    expect(renderFold(result, coloursFor({ isTTY: false }))).toMatch(/compared +anchored with .* not tried/);
    expect((await readdir(root)).filter((name) => name.includes("partial"))).toEqual([]);
  });

  it("takes the method that a format can hold, and shares that it has", async () => {
    const result = await foldCheckpoint(
      { ...quick, ...short, formats: ["onnx", "hf"], goal: { maxLoss: 2 }, output: place("plain") },
      quietContext,
    );
    const { compared, tried } = result.goal as LossReport;
    expect(compared).toBeUndefined();
    expect(result.plan.method).toBe("commuting");
    expect(["1/2", "1/4", "1/8"]).toEqual(expect.arrayContaining(tried.map(({ keep }) => keep)));
  });

  it("needs text to hold back, and a graph to measure", async () => {
    const goal = { maxLoss: 0.02 };
    const short = { ...calibration!, windows: 2 };
    const fold = (options: object) =>
      failureOf(foldCheckpoint({ model, goal, output: place("no"), ...options }, quietContext));
    expect(await fold({ calibration: short })).toMatchObject({ code: "insufficient-text" });
    expect(await fold({})).toMatchObject({ code: "calibration-missing" });
    expect(await fold({ calibration, method: "mean", formats: ["hf"] })).toMatchObject({ code: "usage" });
  });
});
