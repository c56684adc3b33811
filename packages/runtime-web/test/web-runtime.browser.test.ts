import type { ServerResponse } from "node:http";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readWindows } from "../../converter/test/support/assets.js";
import type { PageApi } from "./page.js";
import { makeProseModels, type ProseModels, runInNode } from "./prose-models.js";
import { chromePath, startBrowser, type TestBrowser } from "./test-browser.js";

declare const kvfold: PageApi;
/** Of the worker: tokens that each run has read. */
declare const tokensRead: readonly number[];

const GRAPH = "/folded/model.onnx";
const DELTA = "/folded/model_delta.onnx";
const WEIGHTS = "/folded/model.onnx_data";

describe.skipIf(chromePath === undefined)("createWebRuntime in Chromium (set CHROME_PATH)", () => {
  let chromium: TestBrowser;
  let models: ProseModels;
  let text: readonly number[];
  let context: BrowserContext;
  let page: Page;

  beforeAll(async () => {
    models = await makeProseModels();
    text = Array.from((await readWindows({ text: "validation", count: 1 }))[0]!);
    chromium = await startBrowser({ gpu: "no-gpu", files: models.files });
  });

  afterAll(() => chromium?.close());

  // A context has storage of its own.
  beforeEach(async () => {
    context = await chromium.browser.newContext();
    page = await chromium.openPage(context);
  });

  afterEach(async () => {
    await context.close();
    Object.assign(chromium.server.files, models.files);
    const written = chromium.messages.splice(0);
    if (written.length > 0) throw new Error(`expected nothing on the console, found ${written.join("; ")}`);
  });

  /** What was asked for since the last call, of the models. */
  const modelRequests = () =>
    chromium.server.requests
      .splice(0)
      .filter((path) => path.includes("/whole/") || path.includes("/folded/"));

  const storedFiles = () =>
    page.evaluate(async () =>
      (await (await caches.open("kvfold-models")).keys()).map(({ url }) => new URL(url).pathname),
    );

  const loadFailure = (storage: "keep" | "none" = "keep", url = GRAPH) =>
    page.evaluate(([url, storage]) => kvfold.failureOf(kvfold.runtime.load({ url }, { storage })), [
      url,
      storage,
    ] as const);

  it.each(["whole", "folded"] as const)("runs the %s model as Node does", async (name) => {
    const input = { prompt: text.slice(0, 20), count: 24, window: text.slice(0, 200) };
    const expected = await runInNode(models[name], input);
    const found = await page.evaluate(
      async ([url, { prompt, count, window }]) => {
        const model = await kvfold.runtime.load({ url });
        const tokens = await kvfold.collect(model.generate(prompt, { maxNewTokens: count }));
        const { nll } = await model.perplexity([window]);
        const { provider, reason, threads, cacheBytesPerToken } = model;
        model.dispose();
        return { provider, reason, threads, cacheBytesPerToken, tokens, nll };
      },
      [`/${name}/model.onnx`, input] as const,
    );
    expect(found.tokens).toEqual(expected.tokens);
    // Sums of float32 in another order, over logits of about 10.
    expect(Math.abs(found.nll - expected.nll)).toBeLessThan(1e-5);
    expect(found.provider).toBe("wasm");
    expect(found.reason).toMatch(/^WebAssembly, because .*; (one thread|\d threads)\.$/);
    // 2 layers of keys and values of 8 heads of 32 float32 numbers, and a quarter of it.
    expect(found.cacheBytesPerToken).toBe(name === "whole" ? 4_096 : 1_024);
    await expect.poll(() => page.workers()).toEqual([]);
  });

  it("reports every byte on its way in, and loads nothing on a second visit", async () => {
    const bytes = [GRAPH, DELTA, WEIGHTS].reduce((sum, path) => sum + models.files[path]!.length, 0);
    modelRequests();
    const first = await page.evaluate(async (url) => {
      const seen: { loadedBytes: number; totalBytes: number | undefined; stage: string }[] = [];
      const onProgress = (progress: (typeof seen)[number]) => void seen.push(progress);
      await kvfold.readModelSource({ url }, { graph: "delta", onProgress });
      return { last: seen.at(-1), stages: [...new Set(seen.map(({ stage }) => stage))] };
    }, GRAPH);
    expect(first.stages).toEqual(["download"]);
    expect(first.last).toMatchObject({ loadedBytes: bytes, totalBytes: bytes });
    expect(modelRequests()).toEqual([GRAPH, DELTA, WEIGHTS]);
    expect((await storedFiles()).toSorted()).toEqual([WEIGHTS, GRAPH, DELTA].toSorted());
    await page.close();
    page = await chromium.openPage(context);
    const stages = await page.evaluate(async (url) => {
      const seen: string[] = [];
      const model = await kvfold.runtime.load({ url }, { onProgress: ({ stage }) => void seen.push(stage) });
      model.dispose();
      return [...new Set(seen)];
    }, GRAPH);
    expect(stages).toEqual(["read", "start"]);
    expect(modelRequests()).toEqual([]);
  });

  it("asks whether a stored model is current if told to, and gets the newer one", async () => {
    const load = () =>
      page.evaluate(async (url) => {
        const { bytes } = await kvfold.readModelSource({ url }, { storage: "revalidate" });
        return bytes.length;
      }, GRAPH);
    const [folded, whole] = ["/folded/model.onnx", "/whole/model.onnx"].map(
      (path) => models.files[path]!.length,
    );
    expect(await load()).toBe(folded);
    modelRequests();
    expect(await load()).toBe(folded);
    expect(modelRequests()).toEqual([`HEAD ${GRAPH}`, `HEAD ${WEIGHTS}`]);
    chromium.server.files[GRAPH] = models.files["/whole/model.onnx"]!;
    chromium.server.files[WEIGHTS] = models.files["/whole/model.onnx_data"]!;
    expect(await load()).toBe(whole);
    chromium.server.files[GRAPH] = (response) => response.destroy();
    chromium.server.files[WEIGHTS] = (response) => response.destroy();
    expect(await load()).toBe(whole);
  });

  it("stops a download where it is told to, and keeps nothing of it", async () => {
    // A trickle that goes on for minutes.
    chromium.server.files[WEIGHTS] = (response) => {
      response.writeHead(200, { "content-length": models.files[WEIGHTS]!.length });
      const timer = setInterval(() => response.write(models.files[WEIGHTS]!.subarray(0, 20_000)), 20);
      response.on("close", () => clearInterval(timer));
    };
    const failure = await page.evaluate((url) => {
      const controller = new AbortController();
      const onProgress = ({ loadedBytes }: { loadedBytes: number }) => {
        if (loadedBytes > 200_000) controller.abort();
      };
      return kvfold.failureOf(kvfold.runtime.load({ url }, { onProgress, signal: controller.signal }));
    }, GRAPH);
    expect(failure).toEqual(["aborted", "the operation was aborted by its signal"]);
    expect(await storedFiles()).toEqual([]);
    await expect.poll(() => page.workers()).toEqual([]);
  });

  const short = () => models.files[WEIGHTS]!.subarray(0, 1_000_000);
  const breakOff = (response: ServerResponse): void => {
    response.writeHead(200, { "content-length": 10_404_864 }).write(short(), () => response.destroy());
  };
  it.each([
    ["is missing", WEIGHTS, undefined, /^expected http.*\/folded\/model\.onnx_data, found status 404$/],
    ["breaks off", WEIGHTS, breakOff, /found it to break off after \d+ bytes \(.*\): try again$/],
    [
      "is too short",
      WEIGHTS,
      (response: ServerResponse) => void response.end(short()),
      /^expected at least 10404864 bytes in http.*model\.onnx_data.*, found 1000000: it was cut short/,
    ],
    [
      "is a page",
      GRAPH,
      (response: ServerResponse) => void response.end("<!doctype html><title>Not found</title>"),
      /^expected an ONNX model in http.*model\.onnx, found 39 bytes that are none/,
    ],
    [
      "is out of reach",
      GRAPH,
      (response: ServerResponse) => void response.destroy(),
      /^expected http.*model\.onnx, found no answer/,
    ],
  ])("explains a file that %s, and keeps nothing", async (_, path, served, message) => {
    if (served === undefined) delete chromium.server.files[path];
    else chromium.server.files[path] = served;
    const [code, found] = await loadFailure();
    expect(found).toMatch(message);
    expect(code).toBe("model-unreadable");
    expect(await storedFiles()).toEqual([]);
    await expect.poll(() => page.workers()).toEqual([]);
  });

  it("explains a storage that is full, before the download where it can, and reads past it", async () => {
    const session = await context.newCDPSession(page);
    const origin = chromium.server.url.slice(0, -1);
    await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 10_000_000 });
    const [code, message] = await loadFailure();
    expect(code).toBe("storage-full");
    expect(message).toMatch(
      /^expected room for http.*model\.onnx_data \(9\.9 MiB\) in the browser's storage, found too/,
    );
    expect(await storedFiles()).toEqual([]);
    modelRequests();
    const [early, past] = await page.evaluate(async (url) => {
      navigator.storage.estimate = async () => ({ quota: 10_000_000, usage: 1_000_000 });
      const failure = await kvfold.failureOf(kvfold.readModelSource({ url }));
      return [failure, await kvfold.failureOf(kvfold.readModelSource({ url }, { storage: "none" }))];
    }, GRAPH);
    expect(early![1]).toMatch(
      /^expected room for 9\.9 MiB in the browser's storage, found 8\.6 MiB: free some/,
    );
    expect(past![0]).toBe("none");
    expect(modelRequests()).toEqual([GRAPH, GRAPH, WEIGHTS]);
    expect(await storedFiles()).toEqual([]);
  });

  it("explains a file that no memory is left for", async () => {
    chromium.server.files[GRAPH] = (response) =>
      void response.writeHead(200, { "content-length": 2 ** 50 }).write(models.files[GRAPH]);
    const [code, message] = await loadFailure("none");
    expect(message).toMatch(
      /^expected 1024\.0 TiB of memory for http.*model\.onnx, found less: close other tabs/,
    );
    expect(code).toBe("out-of-memory");
  });

  it("reads files that the user picked, and keeps them under a name", async () => {
    const found = await page.evaluate(
      async ([graph, weights]) => {
        const pick = async (path: string) =>
          new File([await (await fetch(path)).blob()], path.slice(path.lastIndexOf("/") + 1));
        const files = [await pick(graph), await pick(weights)];
        const sizesOf = async (source: Parameters<typeof kvfold.readModelSource>[0]) => {
          const { bytes, externalData } = await kvfold.readModelSource(source);
          return [bytes.length, ...externalData!.map(({ data }) => data.length)];
        };
        const alone = await kvfold.failureOf(kvfold.readModelSource({ files: files.slice(0, 1) }));
        const strange = await kvfold.failureOf(kvfold.readModelSource({ kept: "mine" }));
        const model = await kvfold.runtime.load({ files, keepAs: "mine" });
        model.dispose();
        const sizes = [await sizesOf({ files }), await sizesOf({ kept: "mine" })];
        return { alone, strange, sizes, deleted: await kvfold.deleteStoredModels() };
      },
      [GRAPH, WEIGHTS] as const,
    );
    expect(found.alone).toEqual([
      "model-unreadable",
      "expected model.onnx_data, found only model.onnx: pick it together with model.onnx, which needs it",
    ]);
    expect(found.strange[1]).toMatch(/^expected a model kept as mine, found none in this browser's storage/);
    const sizes = [GRAPH, WEIGHTS].map((path) => models.files[path]!.length);
    expect(found.sizes).toEqual([sizes, sizes]);
    expect(found.deleted).toBe(true);
    expect(await storedFiles()).toEqual([]);
  });

  it("leaves the page free while it decodes, and stops between two steps", async () => {
    const found = await page.evaluate(
      async ([url, prompt]) => {
        const model = await kvfold.runtime.load({ url });
        const start = performance.now();
        const { pause, result } = await kvfold.longestPause(() =>
          kvfold.collect(model.generate(prompt, { maxNewTokens: 60 })),
        );
        const duration = performance.now() - start;
        const controller = new AbortController();
        const tokens: number[] = [];
        const aborted = await kvfold.failureOf(
          (async () => {
            for await (const token of model.generate(prompt, {
              maxNewTokens: 500,
              signal: controller.signal,
            })) {
              tokens.push(token);
              if (tokens.length === 3) controller.abort();
            }
          })(),
        );
        for await (const _ of model.generate(prompt)) break;
        const again = await kvfold.collect(model.generate(prompt, { maxNewTokens: 3 }));
        model.dispose();
        const disposed = await kvfold.failureOf(kvfold.collect(model.generate(prompt)));
        return { pause, duration, count: result.length, aborted, tokens, again, disposed: disposed[0] };
      },
      [GRAPH, text.slice(0, 100)] as const,
    );
    expect(found.count).toBe(60);
    // On its own thread, the page would do nothing for the whole of it.
    expect(found.pause).toBeLessThan(found.duration / 4);
    expect(found.aborted[0]).toBe("aborted");
    expect(found.tokens.length).toBeLessThan(50);
    expect(found.again).toEqual(found.tokens.slice(0, 3));
    expect(found.disposed).toBe("disposed");
  });

  it("goes on after a reload in a conversation that it kept, without reading it again", async () => {
    const [prompt, more] = [text.slice(0, 40), text.slice(40, 44)];
    const first = await page.evaluate(
      async ([url, prompt, more]) => {
        const model = await kvfold.runtime.load({ url });
        const options = { maxNewTokens: 6, keep: true };
        const answer = await kvfold.collect(model.generate(prompt, options));
        await model.saveCache("a story/1");
        const all = [...prompt, ...answer, ...more];
        const next = await kvfold.collect(model.generate(all, { maxNewTokens: 6 }));
        model.dispose();
        return { answer, all, next };
      },
      [GRAPH, prompt, more] as const,
    );
    await page.close();
    page = await chromium.openPage(context);
    const second = await page.evaluate(
      async ([url, all]) => {
        const model = await kvfold.runtime.load({ url });
        const tokens = await model.loadCache("a story/1");
        const missing = await kvfold.failureOf(model.loadCache("another"));
        const next = await kvfold.collect(model.generate(all, { maxNewTokens: 6, keep: true }));
        return { tokens, missing, next };
      },
      [GRAPH, first.all] as const,
    );
    // Everything but the last token of the answer, which was drawn and not read.
    expect(second.tokens).toEqual([...prompt, ...first.answer.slice(0, -1)]);
    expect(second.next).toEqual(first.next);
    expect(await page.workers()[0]!.evaluate(() => tokensRead)).toEqual([1 + more.length, 1, 1, 1, 1, 1]);
    expect(second.missing).toEqual([
      "cache-unreadable",
      "expected a cache kept as another, found none: keep one with saveCache",
    ]);
    const foreign = await page.evaluate(async (url) => {
      const model = await kvfold.runtime.load({ url });
      return kvfold.failureOf(model.loadCache("a story/1"));
    }, "/whole/model.onnx");
    expect(foreign[0]).toBe("cache-unreadable");
    expect(foreign[1]).toMatch(
      /^loadState: expected a cache of model [0-9a-f]{64}, found one of [0-9a-f]{64}/,
    );
  });

  it("explains a worker whose script is not there", async () => {
    const failure = await page.evaluate(() => {
      const worker = () => new Worker("/none.js", { type: "module" });
      return kvfold.failureOf(kvfold.createWebRuntime({ worker }).load({ url: "/folded/model.onnx" }));
    });
    expect(failure).toEqual([
      "runtime-missing",
      "expected a worker whose script calls serveRuntime, found one that failed (its script did not load)",
    ]);
  });
});
