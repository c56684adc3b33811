import { existsSync } from "node:fs";
import type { Server } from "node:http";
import { createCausalLM, generate, perplexity } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildTinyDecoder, groupQuery, mixed, plain } from "../../runtime/test/tiny-decoder.js";
import { tinyTokens } from "../../runtime/test/tiny-model.js";
import { buildLinearModel, WEIGHTS_FILE } from "../../runtime-node/test/linear-model.js";
import { bundlePage } from "./bundle-page.js";
import type { PageApi } from "./page.js";
import { servePage } from "./page-server.js";

declare const kvfold: PageApi;

const candidates = [
  process.env.KVFOLD_CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/usr/bin/google-chrome-stable",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];
const executablePath = candidates.find((path) => path !== undefined && existsSync(path));

/** Without a GPU or a sandbox, as in a container, and without requests of the browser's own. */
const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const decoders = { groupQuery, plain, mixed };
const models = Object.entries(decoders).map(([name, decoder]) => ({
  name,
  bytes: buildTinyDecoder(decoder),
}));
const linear = buildLinearModel();
const prompt = tinyTokens(6);

describe.skipIf(executablePath === undefined)(
  "in Chromium (skipped where none is found: set KVFOLD_CHROMIUM)",
  () => {
    let browser: Browser | undefined;
    let server: Server | undefined;
    let page: Page;
    const messages: string[] = [];

    beforeAll(async () => {
      const served = await servePage({
        "/page.js": await bundlePage(),
        "/linear/model.onnx": linear.bytes,
        [`/linear/${WEIGHTS_FILE}`]: linear.weights,
        "/garbage.onnx": new TextEncoder().encode("no protobuf"),
        ...Object.fromEntries(models.map(({ name, bytes }) => [`/${name}.onnx`, bytes])),
      });
      server = served.server;
      browser = await chromium.launch({ executablePath: executablePath!, args: FLAGS });
      page = await browser.newPage();
      page.on("pageerror", (error) => messages.push(error.message));
      page.on("console", (message) => messages.push(message.text()));
      await page.goto(served.url);
      await page.waitForFunction("globalThis.kvfold !== undefined");
    });

    afterAll(async () => {
      await browser?.close();
      server?.closeAllConnections();
      server?.close();
    });

    it("has threads", async () => {
      expect(await page.evaluate(() => kvfold.isolated)).toBe(true);
    });

    it.each(models)(
      "generates the tokens that Node generates, and predicts as well ($name)",
      async ({ name, bytes }) => {
        const model = createCausalLM(await nodeProvider().createSession({ bytes }));
        const expected: number[] = [];
        for await (const token of generate(model, prompt, { maxNewTokens: 24 })) expected.push(token);
        const window = tinyTokens(50);
        const { nll } = await perplexity(model, [window]);

        const url = `/${name}.onnx`;
        const generated = await page.evaluate(([at, ids]) => kvfold.generateTokens(at, ids, 24), [
          url,
          prompt,
        ] as const);
        const found = await page.evaluate(([at, ids]) => kvfold.measurePerplexity(at, ids), [
          url,
          window,
        ] as const);
        expect(generated).toEqual(expected);
        // Sums of float32 in another order, over logits of about 10.
        expect(Math.abs(found - nll)).toBeLessThan(1e-5);
      },
    );

    it("fetches external data, and returns outputs that it was given memory for", async () => {
      const y = await page.evaluate(
        (file) => kvfold.multiply("linear/model.onnx", [file], [1, 0, 0, 1, 1, 1]),
        WEIGHTS_FILE,
      );
      expect(y).toEqual([1, 2, 9, 12]);
    });

    it("explains a model that ONNX Runtime refuses, without a word on the console", async () => {
      const [code, message] = await page.evaluate(() => kvfold.failureOf("/garbage.onnx"));
      expect(code).toBe("session-failed");
      expect(message).toContain("ONNX Runtime refused a model of 11 bytes");
      expect(messages).toEqual([]);
    });

    it("explains a model that is not there", async () => {
      const [code, message] = await page.evaluate(() => kvfold.failureOf("/none.onnx"));
      expect(code).toBe("model-unreadable");
      expect(message).toMatch(/expected a file at http:.*none\.onnx, found status 404/);
    });
  },
);
