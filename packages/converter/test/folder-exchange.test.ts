import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Shard, sumOverShards } from "@kvfold/calibration";
import type { BlockWeights, Checkpoint } from "@kvfold/decoder";
import { plainProducts } from "@kvfold/linalg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { createBlockMath, type FoldProgress, foldModel, planFold } from "../src/index.js";
import { fold, openExchange, openJournal } from "../src/node.js";
import { randomWindows } from "./support/numbers.js";
import { recordedOutput } from "./support/recorded-output.js";
import { writeTinyLlama } from "./support/tiny-folder.js";

const COUNT = 3;
const windows = randomWindows(7, 12, { vocabulary: 61 });
const config = { ...tinyLlama, num_hidden_layers: 3 };

let root: string;
let folder: string;
let checkpoint: Checkpoint;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-exchange-"));
  folder = join(root, "sums");
  checkpoint = await syntheticCheckpoint({ config });
});
afterEach(() => rm(root, { recursive: true, force: true }));

const shardOf = (index: number): Shard => ({ index, count: COUNT });
const latent = () => planFold(checkpoint.config, { keep: "1/2", method: "latent" });
const open = (shard: Shard, options: Partial<openExchange.Options> = {}) =>
  openExchange({
    folder,
    shard,
    checkpoint,
    plan: latent(),
    windows,
    version: "1",
    timeoutSeconds: 30,
    ...options,
  });

interface Stop {
  /** Keeps finished blocks, to go on from them. */
  readonly journal?: boolean;
  readonly stop?: (progress: FoldProgress) => boolean;
  readonly timeoutSeconds?: number;
}

/** Folds one shard; what `stop` stops leaves its exchange as a killed process would. */
async function foldShard(
  index: number,
  { journal = false, stop, timeoutSeconds = 30 }: Stop = {},
): Promise<readonly BlockWeights[]> {
  const shard = shardOf(index);
  const controller = new AbortController();
  const plan = latent();
  const exchange = await open(shard, { timeoutSeconds, signal: controller.signal });
  const kept = journal
    ? await openJournal({
        folder: join(root, `journal-${index}`),
        checkpoint,
        plan,
        windows,
        shard,
        version: "1",
      })
    : undefined;
  const { output, blocks } = recordedOutput();
  try {
    await foldModel({
      checkpoint,
      plan,
      windows,
      provider: oneThreadProvider(),
      exchange,
      journal: kept,
      outputs: [output],
      onProgress(progress) {
        if (stop?.(progress)) controller.abort();
      },
      signal: controller.signal,
    });
    await exchange.end();
    return blocks;
  } finally {
    await exchange.close();
    await kept?.close();
  }
}

const all = (options: Stop = {}) => Promise.all([1, 2, 3].map((index) => foldShard(index, options)));
const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: { readonly code: string; readonly message: string }) => error,
  );

describe("an exchange through a folder", () => {
  it("gives all shards the blocks of one machine, and leaves nothing", async () => {
    const { output, blocks: expected } = recordedOutput();
    const provider = oneThreadProvider();
    await foldModel({ checkpoint, plan: latent(), windows, provider, outputs: [output] });
    for (const blocks of await all()) expect(blocks).toEqual(expected);
    expect(await readdir(root)).toEqual([]);
  });

  it("holds the sums of two blocks at most", async () => {
    let most = 0;
    const look = async (done: { ended: boolean }) => {
      while (!done.ended) {
        const names = await readdir(folder).catch((): string[] => []);
        const blocks = names.map(
          (name) =>
            /^(?:settled-beginning-of-)?block-(\d+)[.-].*(?:shard-1\.safetensors|\.json)$/.exec(name)?.[1],
        );
        most = Math.max(most, new Set(blocks.filter((block) => block !== undefined)).size);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    const done = { ended: false };
    const looking = look(done);
    await all();
    done.ended = true;
    await looking;
    expect(most).toBe(2);
  });

  it("goes on with a shard that is started again, and writes what a fold writes that never stopped", async () => {
    const expected = await all();
    const lost = failureOf(
      foldShard(2, { journal: true, stop: ({ step, layer }) => step === "heal" && layer === 1 }),
    );
    const others = [1, 3].map((index) => foldShard(index, { journal: true }));
    expect(await lost).toMatchObject({ code: "aborted" });
    const again = await foldShard(2, { journal: true });
    expect(again).toEqual(expected[1]);
    expect((await Promise.all(others))[0]).toEqual(expected[0]);
  });

  it("names the shard that is lost, and where it was; all go on from their journals", async () => {
    const expected = await all();
    const stop = ({ step, layer }: FoldProgress) => step === "heal" && layer === 1;
    const ends = await Promise.all([
      failureOf(foldShard(1, { journal: true, timeoutSeconds: 2 })),
      failureOf(foldShard(2, { journal: true, stop })),
      failureOf(foldShard(3, { journal: true, timeoutSeconds: 2 })),
    ]);
    expect(ends.map((error) => error?.code)).toEqual(["shard-missing", "aborted", "shard-missing"]);
    expect(ends[0]!.message).toMatch(
      /sums: the part of block 1 \(refit attention inputs\) did not come within 2 s from shard 2\/3 \(ended, 1 blocks finished\); start it again .*1\/3/,
    );
    expect(await all({ journal: true })).toEqual(expected);
  });

  it("says of a shard without a journal that all must start again", async () => {
    const stop = ({ step, layer }: FoldProgress) => step === "heal" && layer === 1;
    await Promise.all([
      failureOf(foldShard(1, { timeoutSeconds: 1 })),
      failureOf(foldShard(2, { stop })),
      failureOf(foldShard(3, { timeoutSeconds: 1 })),
    ]);
    expect(await failureOf(foldShard(2))).toMatchObject({
      code: "unusable-exchange",
      message: expect.stringMatching(
        /shard 2\/3 had finished 1 blocks and starts over at block 0.*start all/,
      ),
    });
  });

  it("takes parts that an earlier process of a shard left, where no block is finished", async () => {
    const expected = await all();
    const stop = ({ step, layer }: FoldProgress) => step === "heal" && layer === 0;
    const ended = failureOf(foldShard(2, { stop, timeoutSeconds: 1 }));
    expect((await ended)?.code).toBe("shard-missing");
    expect(await all()).toEqual(expected);
  });

  it.each([
    [
      "another share",
      { keep: "1/4" },
      shardOf(2),
      /another fold \(.*keep was 1\/2 and is 1\/4.*start all shards/,
    ],
    ["another number of shards", { keep: "1/2" }, { index: 2, count: 4 }, /shards was 3 and is 4/],
    ["the same shard", { keep: "1/2" }, shardOf(1), /shard 1\/3 is folded already by process \d+/],
  ])("refuses %s", async (_, options, shard, message) => {
    const first = await open(shardOf(1));
    const plan = planFold(checkpoint.config, { method: "latent", ...options });
    expect(await failureOf(open(shard, { plan }))).toMatchObject({
      code: "unusable-exchange",
      message: expect.stringMatching(message),
    });
    await first.close();
    await expect(open(shardOf(1))).resolves.toBeDefined();
  });

  it("refuses a folder that holds something else", async () => {
    await mkdir(folder);
    await writeFile(join(folder, "book.txt"), "");
    expect((await failureOf(open(shardOf(1))))?.message).toMatch(
      /book\.txt, which does not belong to an exchange/,
    );
  });

  it("adds what an earlier process of the shard wrote, and refuses what is damaged or of another fold", async () => {
    const alone = { index: 1, count: 1 };
    const place = { layer: 0, step: "refit down" };
    const file = join(folder, "block-0.refit-down.shard-1.safetensors");
    const sumOf = async (value: number) => {
      const exchange = await open(alone);
      const keys = { width: 1, count: 1, sum: Float64Array.of(value), gram: Float64Array.of(value) };
      const own = { moments: { keys }, crosses: {} };
      try {
        return (await sumOverShards(exchange, place, own)).moments.keys!.sum[0];
      } finally {
        await exchange.close();
      }
    };
    expect([await sumOf(3), await sumOf(5)]).toEqual([3, 3]);
    const bytes = await readFile(file);
    await writeFile(file, bytes.subarray(0, -1));
    expect(await failureOf(sumOf(3))).toMatchObject({
      code: "unusable-exchange",
      message: expect.stringMatching(
        /refit-down\.shard-1\.safetensors cannot be added .*start all shards again/,
      ),
    });
    const text = bytes.toString("latin1");
    await writeFile(file, text.replace(/"fold":"./u, '"fold":"x'), "latin1");
    expect((await failureOf(sumOf(3)))?.message).toMatch(/it is of another fold/);
  });

  it("ends a process whose shard another one has taken over", async () => {
    const first = await open(shardOf(1));
    // A process of another machine cannot be seen from here.
    const path = join(folder, "shard-1.json");
    const record = JSON.parse(await readFile(path, "utf8")) as object;
    await writeFile(path, JSON.stringify({ ...record, token: "other" }));
    const part = { moments: {}, crosses: {} };
    const next = first.parts({ layer: 0, step: "measure" }, part)[Symbol.asyncIterator]();
    await next.next();
    expect((await failureOf(next.next()))?.message).toMatch(
      /shard 1\/3 was started again by another process/,
    );
  });
});

describe("fold", () => {
  it("writes the output of the first shard alone", async () => {
    const [from, to] = [join(root, "model"), join(root, "folded")];
    await writeTinyLlama(from);
    const options = {
      from,
      to,
      keep: "1/2",
      windows,
      exchange: folder,
      provider: oneThreadProvider(),
      math: createBlockMath(plainProducts),
    };
    const reports = await Promise.all([1, 2, 3].map((index) => fold({ ...options, shard: shardOf(index) })));
    for (const report of reports) expect(report).toEqual(reports[0]);
    expect((await readdir(root)).toSorted()).toEqual(["folded", "model"]);
    expect(await readdir(to)).toContain("kvfold.json");
    expect(await failureOf(fold({ ...options, shard: undefined }))).toMatchObject({ option: "exchange" });
    const rounded = fold({ ...options, existing: "replace", shard: shardOf(1), dtypes: ["q4"] });
    expect(await failureOf(rounded)).toMatchObject({ option: "dtypes" });
  });
});
