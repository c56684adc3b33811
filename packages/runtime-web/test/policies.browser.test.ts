import type { ModelSource } from "@kvfold/runtime";
import { createCausalLM } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { exportModel } from "../../decoder/test/support/export-model.js";
import type { PageApi } from "./page.js";
import { servedFiles } from "./served-files.js";
import { chromePath, SOFTWARE_GPU_TIMEOUT, startBrowser, type TestBrowser } from "./test-browser.js";

declare const kvfold: PageApi;

const prompt = [11, 20, 30, 42, 7, 9, 5, 1];
/** Tokens of the prompt that stay. */
const kept = [0, 2, 4, 6];

describe.skipIf(chromePath === undefined)(
  "policy graphs on WebGPU in Chromium, on SwiftShader (set CHROME_PATH)",
  { timeout: SOFTWARE_GPU_TIMEOUT },
  () => {
    let chromium: TestBrowser;
    let page: Page;
    let model: ModelSource;

    beforeAll(async () => {
      // SwiftShader compiles for seconds, so there is one layer.
      const checkpoint = await syntheticCheckpoint({ config: { ...tinyLlama, num_hidden_layers: 1 } });
      model = await exportModel(checkpoint, { form: "policy" });
      const int8 = await exportModel(checkpoint, { form: "int8" });
      const files = { ...servedFiles(model, "/floats.onnx"), ...servedFiles(int8, "/int8.onnx") };
      chromium = await startBrowser({ gpu: "software-gpu", files });
      page = await chromium.openPage();
    });

    afterAll(() => chromium?.close());

    it("read a cache of floats from the memory of the CPU, where a policy acts on it", async () => {
      const found = await page.evaluate(
        async ([path, prompt, kept]) => {
          const session = await (await kvfold.openGpuProvider()).createSession({ path });
          const indices = Int32Array.from(kept);
          const state = kvfold.createCausalLM(session).createState({
            cache: [
              {
                name: "halving",
                action: "drop",
                afterPrefill: ({ heads }) => heads.map(() => ({ kept: indices })),
              },
            ],
          });
          await state.prefill(prompt);
          const logits = [...(await state.decode(3))];
          state.dispose();
          await session.dispose();
          return logits;
        },
        ["/floats.onnx", prompt, kept] as const,
      );
      const expected = await inNode(model);
      const error = Math.max(...found.map((value, index) => Math.abs(value - expected[index]!)));
      // Products of the GPU sum in another order.
      expect(error / Math.max(...expected.map(Math.abs))).toBeLessThan(1e-4);
    });

    it("are refused where they have float16 scales and the GPU computes with none", async () => {
      const [code, message] = await page.evaluate(
        async (path) => kvfold.failureOf((await kvfold.openGpuProvider()).createSession({ path })),
        "/int8.onnx",
      );
      expect(code).toBe("session-failed");
      expect(message).toMatch(/computes with float16, and this GPU does not .*: run it on "wasm"/);
    });
  },
);

async function inNode(source: ModelSource): Promise<Float32Array> {
  const session = await nodeProvider().createSession(source, { threads: 1 });
  const indices = Int32Array.from(kept);
  const state = createCausalLM(session).createState({
    cache: [
      {
        name: "halving",
        action: "drop",
        afterPrefill: ({ heads }) => heads.map(() => ({ kept: indices })),
      },
    ],
  });
  await state.prefill(prompt);
  const logits = await state.decode(3);
  await session.dispose();
  return logits;
}
