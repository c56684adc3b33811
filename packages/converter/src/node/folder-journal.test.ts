import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HiddenStates, memoryHiddenStates, type StageMoments } from "@kvfold/calibration";
import { type Checkpoint, loadBlock, openCheckpoint } from "@kvfold/decoder";
import { bytesSource, parseHeader } from "@kvfold/safetensors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  memoryFolder,
  syntheticCheckpoint,
  syntheticFiles,
  tinyLlama,
} from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { randomWindows } from "../../test/support/numbers.js";
import type { FinishedBlock } from "../journal/fold-journal.js";
import { planFold } from "../plan/plan-fold.js";
import { type FolderJournal, openJournal } from "./folder-journal.js";
import { processTag } from "./process-tag.js";

const windows = randomWindows(2, 4, { vocabulary: 61 });
const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
const plan = planFold(checkpoint.config, { keep: "1/2", method: "svd-a" });
const fold = { checkpoint, plan, windows, version: "1" };

let root: string;
let folder: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-journal-"));
  folder = join(root, "journal");
});
afterEach(() => rm(root, { recursive: true, force: true }));

const open = (options: Partial<openJournal.Options> = {}): Promise<FolderJournal> =>
  openJournal({ ...fold, folder, ...options });

/** Hidden states of two windows that are `value` throughout. */
async function statesOf(value: number): Promise<HiddenStates> {
  const states = await memoryHiddenStates(2, 8);
  for (const index of [0, 1]) await states.write(index, new Float32Array(8).fill(value + index));
  return states;
}

async function finishedBlock(layer: number): Promise<FinishedBlock> {
  const retained = { keys: [0.5, undefined], values: [0.1 + 0.2, 1] };
  return { block: await loadBlock(checkpoint, layer), retained };
}

/** Keeps what there is after a block, with streams of `layer + 1` and `-layer - 1`. */
async function finish(journal: FolderJournal, layer: number): Promise<void> {
  await journal.saveStream(layer, "original", await statesOf(layer + 1));
  await journal.saveStream(layer, "folded", await statesOf(-layer - 1));
  await journal.saveBlock(layer, await finishedBlock(layer));
}

async function restore(journal: FolderJournal, stream: "original" | "folded"): Promise<readonly number[]> {
  const states = await memoryHiddenStates(2, 8);
  await journal.restoreStream(stream, states);
  return [(await states.read(0))[7]!, (await states.read(1))[0]!];
}

/** The files of the journal, but for locks. */
const files = async (): Promise<readonly string[]> =>
  (await readdir(folder)).filter((name) => !name.startsWith("lock-")).toSorted();

const failure = (code: string, message: string | RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string });

describe("openJournal", () => {
  it("keeps blocks and streams for another run", async () => {
    await finish(await open(), 0);
    const journal = await open();
    expect(journal).toMatchObject({ name: folder, blocks: 1, plan });
    expect(await journal.readBlock(0)).toEqual(await finishedBlock(0));
    expect(await restore(journal, "original")).toEqual([1, 2]);
    expect(await restore(journal, "folded")).toEqual([-1, 0]);
  });

  it("holds the streams behind the last block alone", async () => {
    const journal = await open();
    await finish(journal, 0);
    await finish(journal, 1);
    expect(await files()).toEqual([
      "block-0.safetensors",
      "block-1.safetensors",
      "folded-2.safetensors",
      "journal.json",
      "original-2.safetensors",
    ]);
  });

  it("keeps moments where they come with a block", async () => {
    const gram = Float64Array.of(1, 1 / 3, 1 / 3, 2);
    const moments: StageMoments = { keys: { width: 2, count: 9, sum: Float64Array.of(-1, 1e-300), gram } };
    const first = await open();
    await first.saveBlock(0, { ...(await finishedBlock(0)), moments });
    expect((await open()).hasMoments).toBe(true);
    expect((await (await open()).readBlock(0)).moments).toEqual(moments);
    await first.saveBlock(1, await finishedBlock(1));
    expect((await open()).hasMoments).toBe(false);
  });

  it("keeps a settled plan before any block", async () => {
    const journal = await open();
    await journal.close();
    expect(existsSync(folder)).toBe(false);
    await journal.savePlan({ ...plan, seed: 77 });
    expect(await open()).toMatchObject({ plan: { seed: 77 }, blocks: 0 });
  });

  it("removes what is its own, and the folder with it unless there is more", async () => {
    const journal = await open();
    await finish(journal, 0);
    await writeFile(join(folder, "notes.txt"), "dear to someone");
    await journal.remove();
    expect(await readdir(folder)).toEqual(["notes.txt"]);
    await rm(join(folder, "notes.txt"));
    await journal.remove();
    expect(existsSync(folder)).toBe(false);
    await journal.remove();
  });
});

describe("a journal after a kill", () => {
  it("between the streams of a block and its record is complete up to the block before", async () => {
    const journal = await open();
    await finish(journal, 0);
    // A folder in the place of the record stands for the end of the process: nothing comes after it.
    const record = join(folder, "journal.json");
    const text = await readFile(record);
    await rm(record);
    await mkdir(record);
    await expect(finish(journal, 1)).rejects.toThrow(failure("write-failed", /journal\.json: /));
    expect(journal.blocks).toBe(1);
    await rm(record, { recursive: true });
    await writeFile(record, text);
    expect(await readdir(folder)).toContain("block-1.safetensors");

    const again = await open();
    expect(again.blocks).toBe(1);
    expect(await restore(again, "original")).toEqual([1, 2]);
    expect(await readdir(folder)).not.toContain("block-1.safetensors");
    await finish(again, 1);
    expect(await restore(await open(), "original")).toEqual([2, 3]);
  });

  it("in the middle of a file is as it was, without the half of the file", async () => {
    await finish(await open(), 0);
    const before = await files();
    for (const name of ["original-2.safetensors.partial-0a1b2c3d", "journal.json.partial-00000000"])
      await writeFile(join(folder, name), "half");
    expect((await open()).blocks).toBe(1);
    expect(await files()).toEqual(before);
  });

  it("in the middle of its removal is none", async () => {
    await finish(await open(), 0);
    await rm(join(folder, "journal.json"));
    expect((await open()).blocks).toBe(0);
  });
});

describe("a journal on a full disk", () => {
  it("names the file, and stays as it was", async () => {
    const journal = await open();
    await finish(journal, 0);
    const before = await files();
    const full = { windows: 2, read: () => Promise.reject(new Error("ENOSPC: no space left on device")) };
    await expect(journal.saveStream(1, "folded", full as unknown as HiddenStates)).rejects.toThrow(
      failure("write-failed", /journal\/folded-2\.safetensors: .*ENOSPC.*make room/),
    );
    expect((await open()).blocks).toBe(1);
    expect(await files()).toEqual(before);
  });
});

describe("a journal that two processes want", () => {
  const [machine, boot, , start] = processTag().split("-") as [string, string, string, string];
  const lock = (...tag: readonly string[]) => join(folder, `lock-${tag.join("-")}-00000000`);

  it("is in use until it is closed", async () => {
    await finish(await open(), 0);
    // The parent of this process runs as long as this one does.
    const other = lock(machine, boot, String(process.ppid), "0");
    await writeFile(other, "");
    await expect(open()).rejects.toThrow(
      failure("unusable-journal", new RegExp(`in use by another fold \\(process ${process.ppid}\\)`)),
    );
    await rm(other);
    const journal = await open();
    expect(journal.blocks).toBe(1);
    const locks = async () => (await readdir(folder)).filter((name) => name.startsWith("lock-"));
    const count = (await locks()).length;
    await journal.close();
    expect(await locks()).toHaveLength(count - 1);
  });

  it("is free after its process was killed", async () => {
    await finish(await open(), 0);
    const dead = lock(machine, "00000000", String(process.pid), start);
    await writeFile(dead, "");
    expect((await open()).blocks).toBe(1);
    expect(existsSync(dead)).toBe(false);
  });

  it("is not taken from another machine, whose processes nobody sees from here", async () => {
    await mkdir(folder);
    const elsewhere = lock("00000000", boot, String(process.pid), start);
    await writeFile(elsewhere, "");
    await expect(open()).rejects.toThrow(
      failure("unusable-journal", /another machine.*remove .*lock-00000000/),
    );
    expect(await readdir(folder)).toHaveLength(1);
  });

  it("is taken from there by a shard, of which its exchange knows that there is one, and not by another shard", async () => {
    await mkdir(folder);
    const elsewhere = lock("00000000", boot, String(process.pid), start);
    await writeFile(elsewhere, "");
    const shard = { index: 2, count: 3 };
    await finish(await open({ shard }), 0);
    expect(existsSync(elsewhere)).toBe(false);
    await expect(open({ shard: { index: 1, count: 3 } })).rejects.toThrow(
      failure("unusable-journal", /shard was 2\/3 and is 1\/3/),
    );
  });
});

describe("a journal whose output is complete", () => {
  const written = async (content: string): Promise<string> => {
    const output = join(root, "output");
    await mkdir(output, { recursive: true });
    await writeFile(join(output, "kvfold.json"), content);
    return output;
  };

  it("knows it again, and no other", async () => {
    const journal = await open();
    const output = await written("made at noon");
    expect(await journal.isOutput(output)).toBe(false);
    await journal.saveOutput(output);
    const again = await open();
    expect(await again.isOutput(output)).toBe(true);
    await written("made at midnight");
    expect(await again.isOutput(output)).toBe(false);
    expect(await again.isOutput(join(root, "nowhere"))).toBe(false);
  });
});

describe("openJournal refuses", () => {
  it.each<[string, () => Promise<Partial<openJournal.Options>>, RegExp]>([
    [
      "another plan",
      async () => ({ plan: planFold(checkpoint.config, { keep: "1/4", method: "svd-a" }) }),
      /keep was 1\/2 and is 1\/4, layers changed/,
    ],
    [
      "other chunks",
      async () => {
        const plan = planFold(checkpoint.config, { keep: "1/2", method: "svd-a" });
        return { plan: { ...plan, chunk: { least: 8, phase: 0.8 } } };
      },
      /chunk was none and is {"least":8,"phase":0.8}/,
    ],
    [
      "other text",
      async () => ({ windows: randomWindows(2, 4, { vocabulary: 61, seed: 8 }) }),
      /\(calibration text changed\)/,
    ],
    [
      "the same text cut elsewhere",
      async () => ({ windows: recut(windows) }),
      /\(calibration text changed\)/,
    ],
    ["no text", async () => ({ windows: undefined }), /\(calibration text changed\)/],
    [
      "moments from elsewhere",
      async () => ({
        moments: [{ keys: { width: 1, count: 1, sum: Float64Array.of(1), gram: Float64Array.of(1) } }],
      }),
      /\(measured moments changed\)/,
    ],
    [
      "other weights",
      async () => ({ checkpoint: await syntheticCheckpoint({ config: tinyLlama, seed: 2 }) }),
      /\(checkpoint changed\)/,
    ],
    [
      "one other weight, 7 KiB into its tensor",
      async () => ({ checkpoint: await withOtherEnd("model.embed_tokens.weight") }),
      /\(checkpoint changed\)/,
    ],
    ["another version", async () => ({ version: "2" }), /\(version of kvfold was 1 and is 2\)/],
  ])("the journal of %s, and leaves it alone", async (_, options, reason) => {
    await finish(await open(), 0);
    await expect(open(await options())).rejects.toThrow(failure("unusable-journal", reason));
    expect((await open()).blocks).toBe(1);
  });

  it("a folder that holds something else", async () => {
    await mkdir(folder);
    await writeFile(join(folder, "thesis.txt"), "dear to someone");
    await expect(open()).rejects.toThrow(failure("unusable-journal", /no journal of kvfold/));
    expect(await readdir(folder)).toEqual(["thesis.txt"]);
  });

  it.each(["{", "[]", '{"format":"kvfold-journal-2"}'])("a damaged record: %s", async (text) => {
    await finish(await open(), 0);
    await writeFile(join(folder, "journal.json"), text);
    await expect(open()).rejects.toThrow(failure("unusable-journal", /journal\.json is damaged.*start over/));
  });
});

describe("a damaged journal", () => {
  it.each(["block-0.safetensors", "original-1.safetensors"])(
    "says which file it is: %s cut short, of no kind, or missing",
    async (name) => {
      await finish(await open(), 0);
      const path = join(folder, name);
      const bytes = await readFile(path);
      const read = async () => {
        const journal = await open();
        return name.startsWith("block") ? journal.readBlock(0) : restore(journal, "original");
      };
      const damaged = failure("unusable-journal", new RegExp(`${name} is missing or damaged .*start over`));
      for (const length of [bytes.length - 1, 100, 4, 0]) {
        await truncate(path, length);
        await expect(read()).rejects.toThrow(damaged);
      }
      await writeFile(path, "not safetensors");
      await expect(read()).rejects.toThrow(damaged);
      await rm(path);
      await expect(read()).rejects.toThrow(damaged);
    },
  );
});

/** The same tokens in windows of another length. */
const recut = ([first, second]: readonly Int32Array[]): readonly Int32Array[] => {
  const tokens = [...first!, ...second!];
  return [Int32Array.from(tokens.slice(0, 2)), Int32Array.from(tokens.slice(2))];
};

/** The checkpoint with the last number of a tensor changed, as fine-tuning of one row does. */
async function withOtherEnd(tensor: string): Promise<Checkpoint> {
  const files = syntheticFiles({ config: tinyLlama });
  const bytes = files.get("model.safetensors") as Uint8Array;
  const info = (await parseHeader(bytesSource(bytes))).tensors.get(tensor)!;
  bytes[info.end - 4]! ^= 1;
  return openCheckpoint(memoryFolder(files));
}
