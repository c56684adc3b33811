import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseHubId } from "@kvfold/converter/internals";
import { describe, expect, it, onTestFinished } from "vitest";
import { tinyLlama } from "../../../packages/decoder/test/reference/synthetic-checkpoint.js";
import { defaultCacheFolder } from "../src/hub/cache-folder.js";
import { fetchModel } from "../src/hub/fetch-model.js";
import { openConnection } from "../src/hub/hub-connection.js";
import type { HubSettings } from "../src/hub/hub-settings.js";
import { type JobContext, type Progress, quietContext } from "../src/jobs/job.js";
import { findModel } from "../src/models/find-model.js";
import { COMMIT, MODEL, startHub, type TestHub, TOKEN } from "./hub-server.js";
import { failureOf, temporaryFolder } from "./support.js";

const OTHER_COMMIT = "f".repeat(40);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const noise = (count: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: count }, (_, index) => (index * 31 + (index >> 8) * 17 + seed) % 251);

const config = bytes(JSON.stringify(tinyLlama));
const SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
const index = bytes(JSON.stringify({ weight_map: { a: SHARDS[0], b: SHARDS[1], c: SHARDS[0] } }));
const sharded = new Map([
  ["config.json", config],
  ["training.md", bytes("not needed")],
  ["README.md", bytes("---\nlicense: mit\n---\n")],
  ["tokenizer.json", bytes("{}")],
  ["model.safetensors.index.json", index],
  [SHARDS[0]!, noise(300_000, 1)],
  [SHARDS[1]!, noise(200_000, 2)],
  ["pytorch_model.bin", noise(5000, 3)],
]);
const NEEDED = ["README.md", "config.json", ...SHARDS, "model.safetensors.index.json", "tokenizer.json"];

async function start(files: ReadonlyMap<string, Uint8Array> = sharded): Promise<TestHub> {
  const hub = await startHub(files);
  onTestFinished(() => hub.close());
  return hub;
}

/** Fetches into `cacheFolder`, and notes what the user would see. */
function fetching(hub: TestHub, cacheFolder: string, settings: Partial<HubSettings> = {}) {
  const notices: string[] = [];
  const reports: Progress[] = [];
  const context: JobContext = {
    ...quietContext,
    onNotice: (text) => void notices.push(text),
    onProgress: (progress) => void reports.push(progress),
  };
  const run = (revision?: string, change: Partial<JobContext> = {}) =>
    fetchModel(
      { repository: MODEL, revision },
      { hubUrl: hub.url, cacheFolder, ...settings },
      { ...context, ...change },
    );
  return { run, notices, reports };
}

describe("fetchModel", () => {
  it("fetches what a checkpoint needs and nothing else", async () => {
    const hub = await start();
    const cache = await temporaryFolder();
    const { run, reports } = fetching(hub, cache);
    const { folder, commit } = await run();
    expect(commit).toBe(COMMIT);
    expect((await readdir(folder)).toSorted()).toEqual(NEEDED.toSorted());
    for (const name of NEEDED)
      expect((await readFile(join(folder, name))).equals(sharded.get(name)!)).toBe(true);
    expect(hub.log).not.toContain("training.md 0-");
    // Sizes are in the tree, and shards come last.
    const last = reports.at(-1)!;
    expect(last).toMatchObject({ done: 500_000, total: 500_000 });
    expect(last.label).toBe(`fetch ${SHARDS[1]} (2/2): 195.3 KiB of 195.3 KiB`);
  });

  it("takes the single file where there is no index", async () => {
    const hub = await start(
      new Map([
        ["config.json", config],
        ["model.safetensors", noise(4000, 1)],
      ]),
    );
    const { folder } = await fetching(hub, await temporaryFolder()).run();
    expect((await readdir(folder)).toSorted()).toEqual(["config.json", "model.safetensors"]);
  });

  it("fetches nothing twice: a branch is looked up, a commit is not", async () => {
    const hub = await start();
    const { run } = fetching(hub, await temporaryFolder());
    await run();
    hub.log.length = 0;
    const again = await run();
    expect(hub.log).toEqual(["model"]);
    expect(await run(COMMIT)).toEqual(again);
    expect(hub.log).toEqual(["model"]);
  });

  it("follows a branch, and keeps revisions apart", async () => {
    const hub = await start();
    hub.revisions.set("refs/pr/1", OTHER_COMMIT).set(OTHER_COMMIT, OTHER_COMMIT);
    const { run } = fetching(hub, await temporaryFolder());
    const main = await run();
    const other = await run("refs/pr/1");
    expect(other).toMatchObject({ commit: OTHER_COMMIT });
    expect(other.folder).not.toBe(main.folder);
    hub.revisions.set("main", OTHER_COMMIT);
    expect(await run()).toEqual(other);
  });

  it("fetches a file again that went missing in the cache", async () => {
    const hub = await start();
    const { run } = fetching(hub, await temporaryFolder());
    const { folder } = await run();
    await writeFile(join(folder, SHARDS[1]!), "cut off");
    hub.log.length = 0;
    await run();
    expect(hub.log.filter((line) => line.endsWith("-"))).toEqual([`${SHARDS[1]} 0-`]);
  });
});

describe("a download that was interrupted", () => {
  it("goes on where it stopped", async () => {
    const hub = await start();
    const { run } = fetching(hub, await temporaryFolder());
    hub.breaks = [100_000];
    const error = await failureOf(run());
    expect(error).toMatchObject({ code: "network" });
    expect(error.message).toMatch(/^the connection to 127.* broke \(.*\); .* run the same command again/);
    const { folder } = await run();
    const starts = hub.log.filter((line) => line.startsWith(SHARDS[0]!));
    expect(starts).toHaveLength(2);
    // What a broken connection had in its buffers may be lost.
    const from = Number(/ (\d+)-$/.exec(starts[1]!)![1]);
    expect(from).toBeGreaterThan(0);
    expect(from).toBeLessThanOrEqual(100_000);
    for (const name of SHARDS)
      expect((await readFile(join(folder, name))).equals(sharded.get(name)!)).toBe(true);
    expect((await readdir(folder)).filter((name) => name.endsWith(".partial"))).toEqual([]);
  });

  it("ends at once when the user asks for it, and keeps what came", async () => {
    const hub = await start();
    hub.silentAfter = 50_000;
    const cache = await temporaryFolder();
    const { run } = fetching(hub, cache);
    let aborted = false;
    const signal = {
      get aborted() {
        return aborted;
      },
    };
    const onProgress = ({ label }: Progress) => {
      if (label.includes(SHARDS[0]!)) aborted = true;
    };
    expect(await failureOf(run(undefined, { signal, onProgress }))).toMatchObject({ code: "interrupted" });
    hub.silentAfter = undefined;
    const { folder } = await run();
    expect((await readFile(join(folder, SHARDS[0]!))).equals(sharded.get(SHARDS[0]!)!)).toBe(true);
  });

  it("is given up when the Hub falls silent", async () => {
    const hub = await start();
    hub.silentAfter = 50_000;
    const { run } = fetching(hub, await temporaryFolder(), { patienceMilliseconds: 200 });
    const error = await failureOf(run());
    expect(error).toMatchObject({ code: "network" });
    expect(error.message).toContain("went silent");
    hub.override = () => {};
    expect((await failureOf(run())).message).toContain("went silent");
  });

  it("may be shared by two processes", async () => {
    const hub = await start();
    const cache = await temporaryFolder();
    hub.breaks = [100_000, 150_000];
    const [first, second] = [fetching(hub, cache), fetching(hub, cache)];
    await Promise.allSettled([first.run(), second.run()]);
    hub.breaks = [];
    const results = await Promise.all([first.run(), second.run(), first.run()]);
    const { folder } = results[0]!;
    for (const result of results) expect(result).toEqual(results[0]);
    for (const name of SHARDS)
      expect((await readFile(join(folder, name))).equals(sharded.get(name)!)).toBe(true);
  });

  it("with bytes that are not the Hub's is thrown away", async () => {
    const hub = await start();
    const { run } = fetching(hub, await temporaryFolder());
    const damaged = noise(300_000, 9);
    hub.damaged.set(SHARDS[0]!, damaged);
    const checksum = await failureOf(run());
    expect(checksum).toMatchObject({ code: "damaged-download" });
    expect(checksum.message).toMatch(
      /someone\/tiny-model: model-00001.* arrived with SHA-256 [0-9a-f]{64} in place of/,
    );
    hub.damaged.set(SHARDS[0]!, noise(299_000, 1));
    expect((await failureOf(run())).message).toContain("299000 bytes in place of 300000");
    hub.damaged.clear();
    const { folder } = await run();
    expect((await readFile(join(folder, SHARDS[0]!))).equals(sharded.get(SHARDS[0]!)!)).toBe(true);
  });
});

describe("a Hub that cannot be reached", () => {
  it("does not matter for what is in the cache, and the user is told", async () => {
    const hub = await start();
    const { run, notices } = fetching(hub, await temporaryFolder());
    const online = await run();
    expect(notices).toEqual([]);
    await hub.close();
    expect(await run()).toEqual(online);
    expect(notices).toEqual([
      expect.stringMatching(
        /^using someone\/tiny-model as it was fetched before \(main was 01234567 then\): 127\.0\.0\.1:\d+ cannot be reached \(.*ECONNREFUSED/,
      ),
    ]);
    expect(await run(COMMIT)).toEqual(online);
    expect(notices).toHaveLength(1);
    expect(await failureOf(run("dev"))).toMatchObject({ code: "network" });
  });

  it("is named, and so is one that is no Hub", async () => {
    const hub = await start();
    const { run } = fetching(hub, await temporaryFolder());
    hub.override = (response) =>
      void response.writeHead(200).end("<html>Welcome to the hotel's network</html>");
    expect((await failureOf(run())).message).toMatch(/127\.0\.0\.1:\d+ does not answer like a Hub/);
    hub.override = (response) => response.writeHead(503).end();
    expect((await failureOf(run())).message).toMatch(
      /answered with status 503 for someone\/tiny-model; try again/,
    );
    await hub.close();
    expect((await failureOf(run())).message).toMatch(
      /cannot be reached \(.*ECONNREFUSED.*\); check the network/,
    );
  });
});

describe("what the Hub refuses", () => {
  it("is a private model without a token, and not with one, which no other host sees", async () => {
    const hub = await start();
    hub.access = "private";
    const cache = await temporaryFolder();
    const error = await failureOf(fetching(hub, cache).run());
    expect(error).toMatchObject({ code: "not-found" });
    expect(error.message).toMatch(
      /has no model someone\/tiny-model, or it is private: check the name, or give a token/,
    );
    // The storage refuses requests with a token.
    expect((await fetching(hub, cache, { token: TOKEN }).run()).commit).toBe(COMMIT);
  });

  it("is a gated model", async () => {
    const hub = await start();
    hub.access = "gated";
    const cache = await temporaryFolder();
    const error = await failureOf(fetching(hub, cache).run());
    expect(error).toMatchObject({ code: "access-denied" });
    expect(error.message).toContain(
      `someone/tiny-model is gated: accept its conditions at ${hub.url}/someone/tiny-model, and give a token with HF_TOKEN or --token`,
    );
    expect((await fetching(hub, cache, { token: TOKEN }).run()).commit).toBe(COMMIT);
  });

  it("is a token that it does not know, or that is none", async () => {
    const hub = await start();
    const cache = await temporaryFolder();
    const unknown = await failureOf(fetching(hub, cache, { token: "hf_secret" }).run());
    expect(unknown).toMatchObject({ code: "access-denied" });
    expect(unknown.message).not.toContain("hf_secret");
    expect(await failureOf(fetching(hub, cache, { token: "secret" }).run())).toMatchObject({ code: "usage" });
  });

  it("is a revision that is not there", async () => {
    const hub = await start();
    const error = await failureOf(fetching(hub, await temporaryFolder()).run("v9"));
    expect(error).toMatchObject({ code: "not-found" });
    expect(error.message).toContain("has no revision v9");
  });
});

describe("openConnection", () => {
  it("keeps the token from hosts that an answer may name", async () => {
    const seen: (readonly [string, string | null])[] = [];
    const fetch: typeof globalThis.fetch = async (input, init) => {
      seen.push([
        input instanceof Request ? input.url : input.toString(),
        new Headers(init?.headers).get("authorization"),
      ]);
      return new Response("{}");
    };
    const repository = { name: MODEL, revision: "main", hubUrl: "https://hub.example.org", token: TOKEN };
    const signal = { aborted: false };
    const hub = openConnection(repository, { fetch, patienceMilliseconds: 1000, signal });
    const headers = { Authorization: `Bearer ${TOKEN}` };
    await hub.fetch("https://hub.example.org/api", { headers });
    await hub.fetch(new URL("https://evil.example.org/api"), { headers });
    hub.close();
    expect(seen).toEqual([
      ["https://hub.example.org/api", `Bearer ${TOKEN}`],
      ["https://evil.example.org/api", null],
    ]);
  });
});

describe("a repository that kvfold has no use for", () => {
  const attempt = async (files: ReadonlyMap<string, Uint8Array>) => {
    const hub = await start(files);
    const error = await failureOf(fetching(hub, await temporaryFolder()).run());
    return { ...error, code: error.code, message: error.message, log: hub.log };
  };

  it("has no safetensors, and is told what it has", async () => {
    const { code, message } = await attempt(
      new Map([
        ["config.json", config],
        ["pytorch_model.bin", noise(5000, 1)],
      ]),
    );
    expect(code).toBe("unsupported-model");
    expect(message).toContain(
      "no weights in safetensors and no graph onnx/model.onnx (there is pytorch_model.bin)",
    );
    expect((await attempt(new Map([["model.safetensors", config]]))).message).toContain("no config.json");
  });

  it("is of an unknown family, which shows before any weights come", async () => {
    const strange = bytes(JSON.stringify({ ...tinyLlama, model_type: "mamba" }));
    const { code, log } = await attempt(
      new Map([
        ["config.json", strange],
        ["model.safetensors", noise(4000, 1)],
      ]),
    );
    expect(code).toBe("unsupported-model");
    expect(log.filter((line) => line.startsWith("model.safetensors"))).toEqual([]);
  });

  it("lacks a shard, or names one outside", async () => {
    const lacking = new Map([...sharded].filter(([name]) => name !== SHARDS[1]));
    expect((await attempt(lacking)).message).toContain(`names ${SHARDS[1]}, which is not there`);
    const evil = bytes(JSON.stringify({ weight_map: { a: "../../evil.safetensors" } }));
    const outside = new Map([
      ...sharded,
      ["model.safetensors.index.json", evil],
      ["../../evil.safetensors", evil],
    ]);
    expect(await attempt(outside)).toMatchObject({ code: "malformed" });
  });
});

describe("findModel", () => {
  it("prefers a folder of that name", async () => {
    const cacheFolder = await temporaryFolder();
    const place = await temporaryFolder();
    await mkdir(join(place, "owner", "name"), { recursive: true });
    const before = process.cwd();
    process.chdir(place);
    onTestFinished(() => process.chdir(before));
    const hub = { hubUrl: "http://127.0.0.1:1", cacheFolder };
    expect(await findModel("owner/name", hub, quietContext)).toEqual({
      name: "owner/name",
      path: "owner/name",
      title: "name",
    });
    const error = await failureOf(findModel("owner/nowhere", hub, quietContext));
    expect(error.message).toMatch(
      /^there is no folder owner\/nowhere here, and 127\.0\.0\.1:1 cannot be reached/,
    );
    expect((await findModel("./nowhere", hub, quietContext)).path).toBe("./nowhere");
  });
});

describe("parseHubId", () => {
  it.each([
    ["owner/name", { repository: "owner/name", revision: undefined }],
    ["Qwen/Qwen2.5-0.5B@refs/pr/2", { repository: "Qwen/Qwen2.5-0.5B", revision: "refs/pr/2" }],
    ["o/n/onnx/model_q4.onnx@v1", { repository: "o/n", graph: "onnx/model_q4.onnx", revision: "v1" }],
    ["o/n/onnx/../model.onnx", undefined],
    ["name", undefined],
    ["./owner/name", undefined],
    ["/owner/name", undefined],
    ["../name", undefined],
    ["owner/..", undefined],
    ["a/b/c", undefined],
    ["owner/name@", undefined],
  ])("%s", (text, id) => {
    expect(parseHubId(text)).toEqual(id);
  });
});

describe("defaultCacheFolder", () => {
  it("is where the platform keeps caches", () => {
    expect(defaultCacheFolder("linux", {}, "/home/me")).toBe("/home/me/.cache/kvfold/hub");
    expect(defaultCacheFolder("linux", { XDG_CACHE_HOME: "/big" }, "/home/me")).toBe("/big/kvfold/hub");
    expect(defaultCacheFolder("linux", { XDG_CACHE_HOME: "relative" }, "/h")).toBe("/h/.cache/kvfold/hub");
    expect(defaultCacheFolder("darwin", {}, "/Users/me")).toBe("/Users/me/Library/Caches/kvfold/hub");
    expect(defaultCacheFolder("win32", { LOCALAPPDATA: "/data" }, "/me")).toBe("/data/kvfold/hub");
  });
});
