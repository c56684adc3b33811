import { createCausalLM, generate, perplexity } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildTinyDecoder, groupQuery, mixed, plain } from "../../runtime/test/tiny-decoder.js";
import { tinyTokens } from "../../runtime/test/tiny-model.js";
import { buildLinearModel, WEIGHTS_FILE } from "../../runtime-node/test/linear-model.js";
import type { PageApi } from "./page.js";
import { chromePath, startBrowser, type TestBrowser } from "./test-browser.js";

declare const kvfold: PageApi;

const models = Object.entries({ groupQuery, plain, mixed }).map(([name, decoder]) => ({
  name,
  bytes: buildTinyDecoder(decoder),
}));
const linear = buildLinearModel();
const prompt = tinyTokens(6);

describe.skipIf(chromePath === undefined)("webProvider in Chromium (set CHROME_PATH)", () => {
  let chromium: TestBrowser;
  let page: Page;

  beforeAll(async () => {
    const files = {
      "/linear/model.onnx": linear.bytes,
      [`/linear/${WEIGHTS_FILE}`]: linear.weights,
      ...Object.fromEntries(models.map(({ name, bytes }) => [`/${name}.onnx`, bytes])),
    };
    chromium = await startBrowser({ gpu: "no-gpu", files });
    page = await chromium.openPage();
  });

  afterAll(() => chromium?.close());

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
    expect(chromium.messages).toEqual([]);
  });
});
