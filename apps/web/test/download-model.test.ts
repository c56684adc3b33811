/** Models from a Hub, into a storage in memory. */
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { syntheticFiles, tinyLlama } from "../../../packages/decoder/test/reference/synthetic-checkpoint.js";
import { MODEL, startHub, type TestHub } from "../../cli/test/hub-server.js";
import { type DownloadOptions, downloadModel } from "../src/hub/download-model.js";
import { findRepository } from "../src/hub/hub-repository.js";
import { type Folder, listFolders } from "../src/storage/kept-folders.js";
import { disk, MemoryFolder } from "./memory-folder.js";

const bytesOf = (content: string | Uint8Array): Uint8Array =>
  typeof content === "string" ? new TextEncoder().encode(content) : content;

const tinyFiles = (changes: object = {}): Map<string, Uint8Array> =>
  new Map(
    [...syntheticFiles({ config: { ...tinyLlama, ...changes } })].map(([name, content]) => [
      name,
      bytesOf(content),
    ]),
  );

async function start(files: ReadonlyMap<string, Uint8Array> = tinyFiles()): Promise<TestHub> {
  const hub = await startHub(files);
  onTestFinished(() => hub.close());
  return hub;
}

const newStorage = (): Folder => new MemoryFolder() as unknown as Folder;

const optionsOf = (hub: TestHub, options: Partial<DownloadOptions> = {}): DownloadOptions => ({
  hubUrl: hub.url,
  storage: newStorage(),
  onProgress: () => {},
  ...options,
});

const WEIGHTS = "model.safetensors";

afterEach(() => {
  disk.quota = Number.POSITIVE_INFINITY;
});

describe("downloadModel", () => {
  it("brings a checkpoint whole, and what it has brought not again", async () => {
    const hub = await start();
    const shares: number[] = [];
    const options = optionsOf(hub, {
      onProgress: ({ doneBytes, totalBytes }) => void shares.push(doneBytes / totalBytes),
    });
    const { name, files } = await downloadModel(MODEL, options);
    expect(name).toBe(MODEL);
    expect([...files.keys()].toSorted()).toEqual(["config.json", WEIGHTS]);
    for (const [path, blob] of files)
      expect(Buffer.from(await blob.arrayBuffer()).equals(hub.files.get(path)!)).toBe(true);
    expect(shares.at(-1)).toBe(1);
    hub.log.length = 0;
    await downloadModel(`${MODEL}@main`, options);
    expect(hub.log.filter((line) => line.includes("-"))).toEqual([]);
    expect(await listFolders(options.storage)).toMatchObject([{ record: { model: MODEL } }]);
  });

  it("goes on after a connection that broke, and is incomplete before", async () => {
    const hub = await start();
    hub.breaks = [2000];
    const options = optionsOf(hub);
    await expect(downloadModel(MODEL, options)).rejects.toThrow("the connection broke");
    expect(await listFolders(options.storage)).toMatchObject([{ record: { kind: "incomplete" } }]);
    expect((await downloadModel(MODEL, options)).files.has(WEIGHTS)).toBe(true);
  });

  it("stops when it is told to", async () => {
    const hub = await start();
    const stop = new AbortController();
    const options = optionsOf(hub, {
      signal: stop.signal,
      onProgress: ({ file }) => file === WEIGHTS && stop.abort(),
    });
    await expect(downloadModel(MODEL, options)).rejects.toMatchObject({ name: "AbortError" });
    expect(await listFolders(options.storage)).toMatchObject([{ record: { kind: "incomplete" } }]);
  });

  it("says that the storage is full, before and while a file comes", async () => {
    const hub = await start();
    await expect(downloadModel(MODEL, optionsOf(hub, { freeBytes: 1000 }))).rejects.toThrow(/1000 B left/);
    disk.quota = 10_000;
    await expect(downloadModel(MODEL, optionsOf(hub))).rejects.toThrow("no room for model.safetensors");
  });

  it("names what a repository lacks", async () => {
    const attempt = async (...names: string[]) =>
      downloadModel(MODEL, optionsOf(await start(new Map(names.map((name) => [name, bytesOf("{}")])))));
    await expect(attempt(WEIGHTS)).rejects.toThrow("has no config.json");
    await expect(attempt("config.json", "pytorch_model.bin")).rejects.toThrow("no weights in safetensors");
  });

  it.each([
    ["mixtral", { model_type: "mixtral" }, "mixtral"],
    [
      "a model of many gigabytes",
      {
        num_hidden_layers: 80,
        hidden_size: 8192,
        num_attention_heads: 64,
        head_dim: 128,
        intermediate_size: 28672,
      },
      "fold it with the command line",
    ],
  ])("refuses %s before its weights come", async (_, changes, message) => {
    const files = tinyFiles();
    files.set("config.json", bytesOf(JSON.stringify({ ...tinyLlama, ...changes })));
    const hub = await start(files);
    await expect(downloadModel(MODEL, optionsOf(hub))).rejects.toThrow(message);
    expect(hub.log.filter((line) => line.startsWith(WEIGHTS))).toEqual([]);
  });
});

describe("findRepository", () => {
  const find = (hub: TestHub, name = MODEL) => findRepository(name, { hubUrl: hub.url });

  it("says why there is no model", async () => {
    const hub = await start();
    await expect(find(hub, "tiny")).rejects.toThrow("expected a name such as owner/name");
    await expect(find(hub, `${MODEL}/onnx/model.onnx`)).rejects.toThrow(`name ${MODEL} alone`);
    await expect(find(hub, "someone/else")).rejects.toThrow("has no model someone/else, or it is private");
    await expect(find(hub, `${MODEL}@v9`)).rejects.toThrow("no revision v9");
    hub.access = "gated";
    const { open } = await find(hub);
    await expect(open({ name: "config.json" })).rejects.toThrow("is gated, and this page has no token");
    hub.override = (response) => response.writeHead(503).end();
    await expect(find(hub)).rejects.toThrow("answered with status 503");
  });

  it("says that a Hub is out of reach", async () => {
    const hub = await startHub(new Map());
    await hub.close();
    await expect(find(hub)).rejects.toThrow("cannot be reached");
  });
});
