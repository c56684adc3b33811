import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import type { CommandHost } from "../src/commands/host.js";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { quietContext } from "../src/jobs/job.js";
import { createProgram } from "../src/program.js";
import { renderFold } from "../src/render/fold.js";
import { tokenFile } from "../src/tokens/read-tokens.js";
import { coloursFor } from "../src/ui/terminal.js";
import { abortingContext, failureOf, temporaryFolder } from "./support.js";
import { writeTinyModel, writeTinyTokens } from "./tiny-model.js";

const COUNT = 3;

async function setUp() {
  const root = await temporaryFolder();
  const model = await writeTinyModel(join(root, "model"));
  const tokens = await writeTinyTokens(join(root, "tokens.u16"));
  const options = (index: number): foldCheckpoint.Options => ({
    model,
    output: join(root, "half"),
    keep: "1/2",
    calibration: { files: [tokenFile(tokens)], windows: 5, window: 12 },
    spread: { shard: { index, count: COUNT }, folder: join(root, "sums"), timeoutSeconds: 30 },
    journal: join(root, `.half.kvfold-journal-${index}-of-${COUNT}`),
  });
  return { root, options };
}

describe("a fold that several processes share", () => {
  it("is written by the first shard, and leaves nothing else", async () => {
    const { root, options } = await setUp();
    const results = await Promise.all([1, 2, 3].map((index) => foldCheckpoint(options(index), quietContext)));
    expect(results.map(({ shard }) => shard?.index)).toEqual([1, 2, 3]);
    expect((await readdir(root)).toSorted()).toEqual(["half", "model", "tokens.u16"]);
    const record = JSON.parse(await readFile(join(root, "half/kvfold.json"), "utf8")) as object;
    expect(record).toMatchObject({ calibration: { windows: 5, window: 12, tokens: 60 } });
    const colours = coloursFor({ isTTY: false }, {});
    expect(renderFold(results[0]!, colours)).toMatch(/shard +1\/3\n/);
    expect(renderFold(results[2]!, colours)).toMatch(/shard +3\/3; shard 1\/3 writes the output/);
  });

  it("goes on with a shard that was stopped", async () => {
    const { root, options } = await setUp();
    const others = [1, 3].map((index) => foldCheckpoint(options(index), quietContext));
    // In the middle of the first block.
    expect(await failureOf(foldCheckpoint(options(2), abortingContext(12)))).toMatchObject({
      code: "aborted",
    });
    await foldCheckpoint(options(2), quietContext);
    await Promise.all(others);
    expect((await readdir(root)).toSorted()).toEqual(["half", "model", "tokens.u16"]);
  });

  it("is refused where the whole text is needed", async () => {
    const { options } = await setUp();
    const { keep: _, journal: _journal, ...rest } = options(1);
    const goal = { maxLoss: 0.02 };
    expect((await failureOf(foldCheckpoint({ ...rest, goal }, quietContext))).message).toMatch(
      /--shard cannot be used with --max-loss/,
    );
  });
});

describe("kvfold fold --shard", () => {
  /** Runs a command with a host that does nothing, and returns the options of its job. */
  async function optionsOf(line: string): Promise<unknown> {
    const seen: unknown[] = [];
    const host = {
      colours: coloursFor({ isTTY: false }, {}),
      write() {},
      run: async (_name: string, options: unknown) => void seen.push(options),
    } as unknown as CommandHost;
    await createProgram(host).parseAsync(line.split(" "), { from: "user" });
    return seen[0];
  }

  it("has a journal of its own", async () => {
    const shared = "--shard 3/16 --exchange sums --exchange-timeout 1.5h --resume --json";
    const spread = { shard: { index: 3, count: 16 }, folder: "sums", timeoutSeconds: 5400 };
    const journal = resolve("/out/.half.kvfold-journal-3-of-16");
    expect(await optionsOf(`fold m -o /out/half --keep 1/2 ${shared}`)).toMatchObject({ spread, journal });
  });

  it.each([
    ["--shard 1/2", "give --shard I/N and --exchange FOLDER"],
    ["--exchange-timeout 30m", "--exchange-timeout is for folds on several machines"],
    ["--shard 3/2 --exchange sums", "such as 3/16"],
    ["--shard 1/2 --exchange sums --exchange-timeout 5", "such as 90s, 30m or 2h"],
  ])("refuses %s", async (flags, hint) => {
    const error = await failureOf(optionsOf(`fold model -o out --keep 1/2 ${flags}`));
    expect(error.message).toContain(hint);
  });
});
