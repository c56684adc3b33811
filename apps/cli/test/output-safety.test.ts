/** That a fold loses nothing: not what stands in its way, not what comes there while it runs, not its own work. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { createPendingFolder } from "@kvfold/converter/node";
import { bytesSource, parseHeader } from "@kvfold/safetensors";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { type JobContext, quietContext } from "../src/jobs/job.js";
import { tokenFile } from "../src/tokens/read-tokens.js";
import { failureOf, makeFolder, removeFolder, temporaryFolder } from "./support.js";
import { writeTinyModel, writeTinyTokens } from "./tiny-model.js";

let models: string;
let model: string;
let calibration: NonNullable<foldCheckpoint.Options["calibration"]>;
beforeAll(async () => {
  models = await makeFolder();
  model = await writeTinyModel(join(models, "tiny"));
  const tokens = await writeTinyTokens(join(models, "tokens.u16"));
  calibration = { files: [tokenFile(tokens)], windows: 2, window: 16 };
});
afterAll(() => removeFolder(models));

let place: string;
let output: string;
beforeEach(async () => {
  place = await temporaryFolder();
  output = join(place, "half");
});

const fold = (options: Partial<foldCheckpoint.Options> = {}, context: Partial<JobContext> = {}) =>
  foldCheckpoint(
    { model, output, keep: "1/2", method: "svd-w", ...options },
    { ...quietContext, ...context },
  );

/** Measures, so that there is something to save, but heals nothing. */
const measuring = () => ({ method: "svd-a", calibration }) as const;

/** Does something while the fold runs: as soon as there is a place that it writes to. */
const meanwhile = (work: (pending: string) => void): Partial<JobContext> => ({ onTemporary: work });

describe("an output that something else takes while a fold runs", () => {
  it("is left alone", async () => {
    const raced = meanwhile(() => {
      mkdirSync(output);
      writeFileSync(join(output, "notes.txt"), "my thesis");
    });
    const work = fold({}, raced);
    expect(await failureOf(work)).toMatchObject({ code: "output-exists" });
    expect(await readFile(join(output, "notes.txt"), "utf8")).toBe("my thesis");
    expect(await readdir(place)).toEqual(["half"]);
  });

  it("goes to one of two folds, whole, and the other says so", async () => {
    const outcomes = await Promise.allSettled([fold(), fold({ keep: "1/4" })]);
    const winner = outcomes.find((outcome) => outcome.status === "fulfilled");
    const loser = outcomes.find((outcome) => outcome.status === "rejected");
    expect(loser?.reason).toMatchObject({ code: "output-exists" });
    const record = JSON.parse(await readFile(join(output, "kvfold.json"), "utf8")) as { plan: unknown };
    expect(record.plan).toEqual(winner?.value.plan);
    expect(await readdir(place)).toEqual(["half"]);
  });

  it("is known to be taken where another run is writing it already", async () => {
    const pending = await createPendingFolder(output);
    const error = await failureOf(fold());
    expect(error).toMatchObject({
      code: "output-exists",
      message: `another run is writing ${output} (process ${process.pid}); wait for it, or choose another output`,
    });
    await pending.discard();
  });
});

describe("measurements that something else takes the place of", () => {
  const saveMoments = () => join(place, "moments");

  it("leave it alone, and leave the output that is complete", async () => {
    const raced = meanwhile(() => writeFileSync(saveMoments(), "my thesis"));
    const error = await failureOf(fold({ ...measuring(), saveMoments: saveMoments() }, raced));
    expect(error.code).toBe("output-exists");
    expect(error.message).toMatch(/half is complete, but not what was measured: .*moments was written by/);
    expect(await readFile(saveMoments(), "utf8")).toBe("my thesis");
    expect((await readdir(place)).toSorted()).toEqual(["half", "moments"]);
  });

  it("are kept by the next run with a journal, which folds nothing again", async () => {
    const journal = join(place, ".half.kvfold-journal");
    const options = { ...measuring(), saveMoments: saveMoments(), journal };
    await fold({ ...options, output: join(place, "whole"), saveMoments: join(place, "expected") });
    const raced = meanwhile(() => writeFileSync(saveMoments(), "my thesis"));
    expect(await failureOf(fold(options, raced))).toMatchObject({ code: "output-exists" });
    await rm(saveMoments());
    const before = await readFile(join(output, "kvfold.json"));
    const labels: string[] = [];
    const { plan } = await fold(options, { onProgress: ({ label }) => void labels.push(label) });
    expect({ labels, method: plan.method }).toEqual({ labels: [], method: "svd-a" });
    expect(await readFile(join(output, "kvfold.json"))).toEqual(before);
    expect(await readFile(saveMoments())).toEqual(await readFile(join(place, "expected")));
    expect((await readdir(place)).toSorted()).toEqual(["expected", "half", "moments", "whole"]);
  });

  it.each([
    ["a folder", (path: string) => mkdir(path), /is a folder/],
    ["a file", (path: string) => writeFile(path, "mine"), /exists; choose another name, or .* --force/],
    ["something that is no file", (path: string) => symlink("/dev/null", path), /not a regular file/],
  ])("find %s before any work begins", async (_, make, message) => {
    await make(saveMoments());
    const error = await failureOf(fold({ ...measuring(), saveMoments: saveMoments() }));
    expect(error.code).toBe("output-exists");
    expect(error.message).toMatch(message);
    expect(await readdir(place)).toEqual(["moments"]);
  });

  it("miss their folder before any work begins", async () => {
    const nowhere = join(place, "nowhere", "moments");
    const error = await failureOf(fold({ ...measuring(), saveMoments: nowhere }));
    expect(error.code).toBe("write-failed");
    expect(error.message).toMatch(/its folder .*nowhere does not exist/);
  });
});

describe("a file of moments", () => {
  it.each([
    [
      "is another kind of file",
      (path: string) => writeFile(path, "garbage that is no header"),
      "malformed-file",
    ],
    ["is a folder", (path: string) => mkdir(path), "malformed-file"],
    ["is not there", async () => {}, "unreadable-file"],
  ])("that %s is named", async (_, make, code) => {
    const path = join(place, "moments");
    await make(path);
    const error = await failureOf(fold({ method: "svd-a", moments: path }));
    expect(error).toMatchObject({ code, message: expect.stringContaining(path) as string });
  });
});

describe("an output that is a symbolic link", () => {
  it("stays one, and the model is where it leads, where nothing was yet", async () => {
    const real = join(place, "real");
    await symlink("real", output);
    await fold();
    expect((await lstat(output)).isSymbolicLink()).toBe(true);
    expect(await readdir(real)).toContain("kvfold.json");
    expect((await readdir(place)).toSorted()).toEqual(["half", "real"]);
  });

  it("is no way around the check that the model lies elsewhere", async () => {
    const inside = await writeTinyModel(join(place, "model"));
    await symlink("model", output);
    const error = await failureOf(fold({ model: inside, existing: "replace" }));
    expect(error.message).toContain("holds the model");
    expect(await readdir(inside)).toContain("model.safetensors");
  });
});

describe("what killed runs left", () => {
  const notices = () => {
    const texts: string[] = [];
    return { texts, onNotice: (text: string) => void texts.push(text) };
  };

  it("is removed, and named where nobody knows whose it is", async () => {
    const pending = await createPendingFolder(output);
    // The same process on an earlier boot, which is not running any more.
    const dead = pending.path.replace(/(partial-[0-9a-f]{8})-[0-9a-f]{8}/, "$1-00000000");
    await pending.discard();
    await mkdir(join(dead, "onnx"), { recursive: true });
    const unknown = join(place, ".half.partial-3bd0c1a2-8d6c-4a5e-9f00-0123456789ab");
    await mkdir(unknown);
    const { texts, onNotice } = notices();
    await fold({}, { onNotice });
    expect((await readdir(place)).toSorted()).toEqual([basename(unknown), "half"]);
    expect(texts).toEqual([`${unknown} is left of another run; remove it if that run is over`]);
  });

  it("is named where it is a journal, unless the fold goes on from it", async () => {
    const journal = join(place, ".half.kvfold-journal");
    const options = { ...measuring(), journal };
    const record = join(journal, "journal.json");
    const afterOneBlock = {
      get aborted() {
        return existsSync(record);
      },
    };
    expect(await failureOf(fold(options, { signal: afterOneBlock }))).toMatchObject({ code: "aborted" });
    const { texts, onNotice } = notices();
    await fold({ method: "svd-w" }, { onNotice });
    expect(texts).toEqual([
      `${journal} holds what a stopped fold finished; go on from there with resume, or remove it`,
    ]);
    await rm(output, { recursive: true });
    await fold(options, { onNotice });
    expect(texts).toHaveLength(1);
    expect(await readdir(place)).toEqual(["half"]);
  });
});

describe("errors while an output is written", () => {
  it("name the output, not the temporary folder", async () => {
    // A file where a folder is to be made.
    const spoilt = meanwhile((pending) => writeFileSync(join(pending, "onnx"), ""));
    const { message } = await failureOf(fold({}, spoilt));
    expect(message).toContain(join(output, "onnx"));
    expect(message).not.toContain("partial");
    expect(await readdir(place)).toEqual([]);
  });
});

describe("a weight that float16 cannot hold", () => {
  const tensor = "model.layers.1.mlp.up_proj.weight";
  const dtypes = ["fp32", "fp16"] as const;

  it.each([
    ["onnx", { method: "svd-w", dtypes }],
    ["hf", { method: "mean", dtypes: ["fp16"] }],
  ] as const)("is named, and nothing of the fold is left: %s", async (format, options) => {
    const large = await writeTinyModel(join(place, "large"));
    await setFirstNumber(join(large, "model.safetensors"), tensor, -1e5);
    const error = await failureOf(fold({ model: large, formats: [format], ...options }));
    expect(error.message).toContain(`tensor ${tensor}: `);
    expect(error.message).toMatch(/magnitudes of at most 65504, .* found -100000 at index 0/);
    expect(await readdir(place)).toEqual(["large"]);
  });

  it("fits into float32", async () => {
    const large = await writeTinyModel(join(place, "large"));
    await setFirstNumber(join(large, "model.safetensors"), tensor, -1e5);
    await fold({ model: large, dtypes: ["fp32"] });
    expect(existsSync(output)).toBe(true);
  });
});

/** Changes the first number of a float32 tensor in a safetensors file. */
async function setFirstNumber(path: string, tensor: string, value: number): Promise<void> {
  const bytes = await readFile(path);
  const { tensors } = await parseHeader(bytesSource(bytes));
  bytes.writeFloatLE(value, tensors.get(tensor)!.start);
  await writeFile(path, bytes);
}
