import { createCausalLM, generate, perplexity } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildTinyDecoder, groupQuery, mixed, plain } from "../../runtime/test/tiny-decoder.js";
import { tinyTokens } from "../../runtime/test/tiny-model.js";
import { buildLinearModel, WEIGHTS_FILE } from "../../runtime-node/test/linear-model.js";
import { bundlePage } from "./bundle-page.js";
import { chromePath, openBrowser } from "./open-browser.js";
import type { PageApi } from "./page.js";
import { type PageServer, servePage } from "./page-server.js";

declare const kvfold: PageApi;

const models = Object.entries({ groupQuery, plain, mixed }).map(([name, decoder]) => ({
  name,
  bytes: buildTinyDecoder(decoder),
}));
const linear = buildLinearModel();
const prompt = tinyTokens(6);

describe.skipIf(chromePath === undefined)("webProvider in Chromium (set CHROME_PATH)", () => {
  let browser: Browser;
  let server: PageServer;
  let page: Page;
  const messages: string[] = [];

  beforeAll(async () => {
    server = await servePage({
      ...(await bundlePage()),
      "/linear/model.onnx": linear.bytes,
      [`/linear/${WEIGHTS_FILE}`]: linear.weights,
      ...Object.fromEntries(models.map(({ name, bytes }) => [`/${name}.onnx`, bytes])),
    });
    browser = await openBrowser("no-gpu");
    page = await browser.newPage();
    page.on("pageerror", (error) => messages.push(error.message));
    page.on("console", (message) => messages.push(message.text()));
    await page.goto(server.url);
    await page.waitForFunction("globalThis.kvfold !== undefined");
  });

  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  it.each(models)(
    "generates the tokens that Node generates, and predicts as well ($name)",
    async ({ name, bytes }) => {
      const model = createCausalLM(await nodeProvider().createSession({ bytes }));
      const expected: number[] = [];
      for await (const token of generate(model, prompt, { maxNewTokens: 24 })) expected.push(token);
      const window = tinyTokens(50);
      const { nll } = await perplexity(model, [window]);

      const found = await page.evaluate(
        async ([path, prompt, window]) => {
          const session = await kvfold.provider.createSession({ path }, { threads: 2 });
          const model = kvfold.createCausalLM(session);
          const tokens = await kvfold.collect(kvfold.generate(model, prompt, { maxNewTokens: 24 }));
          const { nll } = await kvfold.perplexity(model, [window]);
          await session.dispose();
          return { tokens, nll, threads: globalThis.crossOriginIsolated };
        },
        [`/${name}.onnx`, prompt, window] as const,
      );
      expect(found.threads).toBe(true);
      expect(found.tokens).toEqual(expected);
      // Sums of float32 in another order, over logits of about 10.
      expect(Math.abs(found.nll - nll)).toBeLessThan(1e-5);
    },
  );

  it("finds external data, and returns outputs that it was given memory for", async () => {
    const y = await page.evaluate(async () => {
      const session = await kvfold.provider.createSession({ path: "linear/model.onnx" });
      const x = new kvfold.Tensor("float32", Float32Array.of(1, 0, 0, 1, 1, 1), [2, 3]);
      const { y } = await session.run(
        { x },
        { y: new kvfold.Tensor("float32", new Float32Array(4), [2, 2]) },
      );
      await session.dispose();
      return [...(y!.data as Float32Array)];
    });
    expect(y).toEqual([1, 2, 9, 12]);
  });

  it("explains a model that is not there, without a word on the console", async () => {
    const [code, message] = await page.evaluate(() =>
      kvfold.failureOf(kvfold.provider.createSession({ path: "/none.onnx" })),
    );
    expect(code).toBe("model-unreadable");
    expect(message).toMatch(/expected http:.*none\.onnx, found status 404/);
    // Chromium itself notes the failed request.
    expect(messages.filter((text) => !text.includes("404"))).toEqual([]);
  });
});
