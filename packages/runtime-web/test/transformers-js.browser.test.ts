import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { nodeProvider } from "@kvfold/runtime-node";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeFolder } from "../../converter/test/support/write-folder.js";
import { continueTokens } from "./continue-tokens.js";
import {
  chromePath,
  SOFTWARE_GPU_TIMEOUT,
  slowTests,
  startBrowser,
  type TestBrowser,
} from "./test-browser.js";
import type { TransformersApi } from "./transformers-page.js";

declare const transformers: TransformersApi;

/**
 * Fewer than 32 tokens: for prompts of 32 or more on a GPU with subgroups of fewer than 8 threads, as SwiftShader's,
 * ONNX Runtime computes attention wrongly and says nothing. kvfold opens such a GPU without subgroups; transformers.js
 * opens its own. More than one chunk of the anchored fold, so that steps read keys over several anchors.
 */
const PROMPT = "The old man and the boy went down to the sea";
/** SwiftShader computes a token a second, and compiles kernels for ten before the first. */
const COUNTS = { wasm: 12, webgpu: 3 } as const;

const models = {
  original: { keep: "1", dtypes: ["fp32"] },
  latent: { keep: "1/2", method: "latent", heal: "none", dtypes: ["fp32", "q4"] },
  anchored: { keep: "1/4", heal: "none", dtypes: ["fp32"] },
} as const;

const cases = [
  ["wasm", "original", "fp32", "model.onnx"],
  ["wasm", "latent", "fp32", "model.onnx"],
  ["wasm", "latent", "q4", "model_q4.onnx"],
  ["wasm", "anchored", "fp32", "model.onnx"],
  ["webgpu", "anchored", "fp32", "model.onnx"],
] as const;

describe.skipIf(chromePath === undefined)(
  "transformers.js in Chromium, on folders as kvfold writes them (set CHROME_PATH)",
  { timeout: SOFTWARE_GPU_TIMEOUT },
  () => {
    let root: string;
    let chromium: TestBrowser;
    let page: Page;
    const elsewhere: string[] = [];

    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), "kvfold-transformers-page-"));
      for (const [name, options] of Object.entries(models)) {
        await mkdir(join(root, name));
        await writeFolder(join(root, name), "prose-6m", options);
      }
      const folders = { "/models/": `${root}/`, "/transformers-ort/": runtimeOfTransformers() };
      chromium = await startBrowser({ gpu: "software-gpu", script: "transformers-page.ts", folders });
      page = await chromium.openPage();
      page.on("request", (request) => {
        if (!request.url().startsWith(chromium.server.url) && !request.url().startsWith("blob:"))
          elsewhere.push(request.url());
      });
    });

    afterAll(async () => {
      await chromium?.close();
      await rm(root, { recursive: true, force: true });
    });

    it.each(slowTests ? cases : cases.filter(([device]) => device !== "webgpu"))(
      "goes on as kvfold does in Node (%s, %s, %s)",
      async (device, model, dtype, file) => {
        const count = COUNTS[device];
        const found = await page.evaluate(([model, options]) => transformers.continueTokens(model, options), [
          model,
          { device, dtype, prompt: PROMPT, count },
        ] as const);
        expect(found.prompt.length).toBeLessThan(32);
        expect(found.prompt.length).toBeGreaterThan(8);
        expect(found.tokens).toHaveLength(count);
        const source = { path: join(root, model, "onnx", file) };
        const expected = await continueTokens(nodeProvider(), { source, prompt: found.prompt, count });
        expect(found.tokens).toEqual(expected);
      },
    );

    it("writes on in a pipeline, with nothing from elsewhere", async () => {
      const text = await page.evaluate((options) => transformers.continueText("latent", options), {
        device: "wasm",
        dtype: "fp32",
        prompt: PROMPT,
        count: COUNTS.wasm,
      } as const);
      expect(text.startsWith(PROMPT)).toBe(true);
      expect(text.length).toBeGreaterThan(PROMPT.length + COUNTS.wasm);
      expect(elsewhere).toEqual([]);
      expect(chromium.messages).toEqual([]);
    });
  },
);

/** It brings an ONNX Runtime of its own. */
function runtimeOfTransformers(): string {
  const transformers = createRequire(import.meta.url).resolve("@huggingface/transformers");
  return `${dirname(createRequire(transformers).resolve("onnxruntime-web/webgpu"))}/`;
}
