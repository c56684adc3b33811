import { createHash } from "node:crypto";
import { cp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readModel } from "@kvfold/onnx";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addGraphsToFolder } from "../src/jobs/add-graphs.js";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { quietContext } from "../src/jobs/job.js";
import { tokenFile } from "../src/tokens/read-tokens.js";
import { failureOf, makeFolder, removeFolder } from "./support.js";
import { writeTinyModel, writeTinyTokens } from "./tiny-model.js";

let root: string;
let model: string;
let tokens: string;
const place = (name: string) => join(root, name);
beforeAll(async () => {
  root = await makeFolder();
  model = await writeTinyModel(place("tiny"));
  tokens = await writeTinyTokens(place("tokens.u16"));
});
afterAll(() => removeFolder(root));

/** What a graph computes with: its nodes, and the bytes of its tensors wherever they are. */
async function contentsOf(folder: string, file: string) {
  const { nodes, inputs, outputs, initializers } = readModel(await readFile(join(folder, "onnx", file)));
  const tensors = new Map<string, string>();
  for (const { name, location, value, type, dims } of initializers.values()) {
    const data = location && (await readFile(join(folder, "onnx", location.path)));
    const bytes = data?.subarray(location!.offset, location!.offset + location!.byteLength) ?? value!.bytes;
    const hash = createHash("sha256").update(bytes).digest("hex");
    tensors.set(name, `${type} ${dims.join("x")} ${hash}`);
  }
  return { nodes, inputs, outputs, tensors };
}

interface FoldRecord {
  readonly plan: { readonly cacheBits?: unknown };
  readonly request: { readonly cacheBits?: unknown };
}

const readRecord = async (folder: string) =>
  JSON.parse(await readFile(join(folder, "kvfold.json"), "utf8")) as FoldRecord;

const ADDED = ["policy", "policy_int4", "policy_int8"];

describe.each([
  ["heads", "svd-w", ["fp32", "fp16"], ["model", "model_fp16"]],
  ["joint latents", "anchored", ["q4"], ["model_q4"]],
] as const)("add-graphs to a fold (%s)", (_name, method, dtypes, graphs) => {
  const whole = () => place(`${method}-whole`);
  const bare = () => place(`${method}-bare`);
  const files = graphs.flatMap((graph) => ADDED.map((name) => `${graph}_${name}.onnx`));

  it("makes the graphs that the fold itself makes, over the weights that are there", async () => {
    const text = { files: [tokenFile(tokens)], windows: 2, window: 32 };
    const calibration = method === "anchored" ? text : undefined;
    const options = { model, method, keep: "1/2", heal: "none", budget: "uniform", dtypes } as const;
    await foldCheckpoint({ ...options, calibration, output: whole(), cacheBits: [8, 4] }, quietContext);
    await cp(whole(), bare(), { recursive: true });
    for (const file of files) await rm(join(bare(), "onnx", file));
    const record = await readRecord(bare());
    const { cacheBits: _, ...plan } = record.plan;
    await writeFile(join(bare(), "kvfold.json"), JSON.stringify({ ...record, plan }));

    const { added } = await addGraphsToFolder(
      { folder: bare(), original: model, cacheBits: [8, 4] },
      quietContext,
    );
    expect(added.toSorted()).toEqual(files.map((file) => `onnx/${file}`).toSorted());
    for (const file of files) {
      expect(await contentsOf(bare(), file)).toEqual(await contentsOf(whole(), file));
      // Weights are where they were.
      expect((await stat(join(bare(), "onnx", file))).size).toBeLessThan(2 ** 18);
    }
    expect((await readdir(join(bare(), "onnx"))).toSorted()).toEqual(
      (await readdir(join(whole(), "onnx"))).toSorted(),
    );
    expect(await readRecord(bare())).toEqual(record);
  });

  it("adds nothing that is there", async () => {
    const before = await readFile(join(bare(), "kvfold.json"));
    const again = await addGraphsToFolder({ folder: bare(), original: model }, quietContext);
    expect(again).toEqual({ folder: bare(), added: [] });
    expect((await readFile(join(bare(), "kvfold.json"))).equals(before)).toBe(true);
  });
});

it("add-graphs refuses another original, and what is no fold", async () => {
  const other = await writeTinyModel(place("other"), { rope_theta: 5e5 });
  const folder = place("svd-w-bare");
  expect(await failureOf(addGraphsToFolder({ folder, original: other }, quietContext))).toMatchObject({
    code: "unsupported-model",
    message: expect.stringContaining("was not made of the model given as its original") as string,
  });
  const none = addGraphsToFolder({ folder: model, original: model }, quietContext);
  expect(await failureOf(none)).toMatchObject({
    code: "unsupported-model",
    message: expect.stringContaining("no kvfold.json") as string,
  });
});
