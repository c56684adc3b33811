import { nodeProvider } from "@kvfold/runtime-node";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { modelSource } from "../../converter/test/support/fold-in-memory.js";
import { continueTokens } from "./continue-tokens.js";
import { FOUR_BIT_FILE, foldToFourBits, fourBitModels } from "./four-bit-models.js";
import type { PageApi } from "./page.js";
import {
  chromePath,
  SOFTWARE_GPU_TIMEOUT,
  slowTests,
  startBrowser,
  type TestBrowser,
} from "./test-browser.js";

declare const kvfold: PageApi;

/** SwiftShader takes ten seconds and more to compile a model, so one stands for all (rows of partial blocks: four-bit.test.ts). */
const model = fourBitModels[0];
const count = 3;

describe.skipIf(chromePath === undefined || !slowTests)(
  "a folded model in four bits on WebGPU, in Chromium on SwiftShader (set CHROME_PATH)",
  { timeout: SOFTWARE_GPU_TIMEOUT },
  () => {
    let chromium: TestBrowser;
    let page: Page;

    beforeAll(async () => {
      chromium = await startBrowser({ gpu: "software-gpu" });
      page = await chromium.openPage();
    });

    afterAll(() => chromium?.close());

    it("generates what it does in Node", async () => {
      const folded = await foldToFourBits(model);
      const { prompt } = model;
      for (const [name, bytes] of folded.files) chromium.server.files[`/${name}`] = bytes;
      const source = modelSource(folded, FOUR_BIT_FILE);
      const expected = await continueTokens(nodeProvider(), { source, prompt, count });
      const found = await page.evaluate(
        async ([url, prompt, count]) => {
          const options = { executionProvider: "webgpu", storage: "none" } as const;
          const model = await kvfold.runtime.load({ url }, options);
          const tokens = await kvfold.collect(model.generate(prompt, { maxNewTokens: count }));
          model.dispose();
          return { provider: model.provider, tokens };
        },
        [`/${FOUR_BIT_FILE}`, prompt, count] as const,
      );
      expect(found).toEqual({ provider: "webgpu", tokens: expected });
    });
  },
);
