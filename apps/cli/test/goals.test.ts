import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { quietContext } from "../src/jobs/job.js";
import { planCheckpoint } from "../src/jobs/plan.js";
import { renderFold } from "../src/render/fold.js";
import { tokenFile } from "../src/tokens/read-tokens.js";
import { coloursFor } from "../src/ui/terminal.js";
import { failureOf, makeFolder, removeFolder } from "./support.js";
import { writeTinyModel, writeTinyTokens } from "./tiny-model.js";

let root: string;
let model: string;
let calibration: foldCheckpoint.Options["calibration"];
beforeAll(async () => {
  root = await makeFolder();
  model = await writeTinyModel(join(root, "tiny"));
  await writeFile(join(model, "LICENSE"), "as you like");
  calibration = {
    files: [tokenFile(await writeTinyTokens(join(root, "tokens.u16"), 300))],
    windows: 8,
    window: 32,
  };
});
afterAll(() => removeFolder(root));

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
});

describe("fold --max-loss", () => {
  /** Several folds each: nothing is refitted, and layers have the same ranks. */
  const quick = { heal: "none" } as const;
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
    const { goal } = result;
    expect(goal!.loss).toBeLessThanOrEqual(1e-3);
    expect(goal!.heldOut).toEqual({ windows: 1, window: 32 });
    expect(goal!.tried.at(-1)).toEqual({ keep: result.plan.keep, loss: goal!.loss });
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
