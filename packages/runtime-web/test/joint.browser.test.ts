import { nodeProvider } from "@kvfold/runtime-node";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { exportModel } from "../../decoder/test/support/export-model.js";
import { withJointLatent } from "../../decoder/test/support/joint-layers.js";
import { continueTokens } from "./continue-tokens.js";
import type { PageApi } from "./page.js";
import { servedFiles } from "./served-files.js";
import { chromePath, SOFTWARE_GPU_TIMEOUT, startBrowser, type TestBrowser } from "./test-browser.js";

declare const kvfold: PageApi;

/** Two levels of chunks; the text goes over a border of the small ones, step by step. */
const chunks = [2, 2, 2, 8, 8, 8, 8, 8];
const prompt = [11, 20, 30, 42, 7, 9];
const count = 3;

describe.skipIf(chromePath === undefined)(
  "joint latents in Chromium, the GPU being SwiftShader (set CHROME_PATH)",
  { timeout: SOFTWARE_GPU_TIMEOUT },
  () => {
    let chromium: TestBrowser;
    let page: Page;
    let expected: readonly number[];

    beforeAll(async () => {
      // SwiftShader compiles for seconds, so there is one layer.
      const config = { ...tinyLlama, num_hidden_layers: 1 };
      const source = await exportModel(await syntheticCheckpoint({ config }), {
        fold: (attention) => withJointLatent(attention, { span: 2, rank: 24, chunks }),
      });
      expected = await continueTokens(nodeProvider(), { source, prompt, count });
      chromium = await startBrowser({ gpu: "software-gpu", files: servedFiles(source) });
      page = await chromium.openPage();
    });

    afterAll(() => chromium?.close());

    it("are read as in Node (wasm)", async () => {
      const executionProvider = "wasm";
      const found = await page.evaluate(
        async ([executionProvider, prompt, count]) => {
          const options = { executionProvider, storage: "none" } as const;
          const model = await kvfold.runtime.load({ url: "/model.onnx" }, options);
          const tokens = await kvfold.collect(model.generate(prompt, { maxNewTokens: count }));
          model.dispose();
          return { provider: model.provider, tokens };
        },
        [executionProvider, prompt, count] as const,
      );
      expect(found).toEqual({ provider: executionProvider, tokens: expected });
    });
  },
);
