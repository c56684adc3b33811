import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { buildTinyDecoder, plain, type TinyLayer } from "../../runtime/test/tiny-decoder.js";
import { tinyTokens } from "../../runtime/test/tiny-model.js";
import type { WebModel } from "../src/index.js";
import type { PageApi } from "./page.js";
import { runInNode } from "./prose-models.js";
import {
  chromePath,
  SOFTWARE_GPU_TIMEOUT,
  slowTests,
  startBrowser,
  type TestBrowser,
} from "./test-browser.js";
import type { HeldMemory, TrackedMemory } from "./track-memory.js";

declare const kvfold: PageApi;
/** In the worker. */
declare const memory: TrackedMemory;
declare const memoryHistory: readonly HeldMemory[];

/**
 * SwiftShader compiles kernels for every device anew, those of fused attention for 5 seconds: where attention does not
 * matter, tests use the plain one. A step takes it 20 ms a layer, and a head another 12 ms once 500 tokens are cached.
 */
const fused: TinyLayer = { attention: "group-query", heads: 2, kvHeads: 1, size: 16 };
const tiny = {
  "/groupQuery.onnx": buildTinyDecoder({ layers: [fused], positions: 600 }),
  "/plain.onnx": buildTinyDecoder({ ...plain, positions: 600 }),
};
const prompt = tinyTokens(6);
/** Attention over 32 tokens or more has a kernel of its own. */
const window = tinyTokens(34);
/** What the cache has room for at first. */
const ROOM = 256;
/** Leaves room for 15 tokens. */
const longPrompt = tinyTokens(ROOM - 15);
/** Fill that room, and go on in a larger one. */
const LONG = 30;
/** Of the plain layers: four heads of 8 and 4 numbers, two of 6 and 10. */
const PLAIN_TOKEN_BYTES = 4 * (4 * (8 + 4) + 2 * (6 + 10));
/** After which a cache that grows is looked at. */
const STEPS = 30;

describe.skipIf(chromePath === undefined)(
  "WebGPU in Chromium, on SwiftShader (set CHROME_PATH)",
  { timeout: SOFTWARE_GPU_TIMEOUT },
  () => {
    let chromium: TestBrowser;
    let page: Page;

    beforeAll(async () => {
      chromium = await startBrowser({ gpu: "software-gpu", files: tiny });
    });

    afterAll(() => chromium?.close());

    beforeEach(async () => {
      await page?.close();
      page = await chromium.openPage();
    });

    /**
     * Loads the fused model and generates, and tells what its worker held after each token, and at the end; then what it makes
     * of a window.
     */
    async function decode(count: number) {
      const loading = page.waitForEvent("worker");
      const found = await page.evaluate(
        async ([url, prompt, count]) => {
          const model = await kvfold.runtime.load({ url }, { executionProvider: "webgpu" });
          // Kernels are compiled, and buffers made for them, when they are first needed.
          await kvfold.collect(model.generate(prompt, { maxNewTokens: 3 }));
          const tokens = await kvfold.collect(model.generate(prompt, { maxNewTokens: count }));
          const { provider, cacheBytesPerToken, cacheKind } = model;
          Object.assign(globalThis, { model });
          return { provider, cacheBytesPerToken, cacheKind, tokens };
        },
        ["/groupQuery.onnx", longPrompt, count] as const,
      );
      const worker = await loading;
      const history = await worker.evaluate(() => memoryHistory);
      const atEnd = await worker.evaluate(() => memory.held());
      // The last message is the result.
      const { nll } = await page.evaluate(
        (window) => (globalThis as unknown as { model: WebModel }).model.perplexity([window]),
        window,
      );
      return { ...found, nll, atEnd, steps: history.slice(-count - 1, -1) };
    }

    it("decodes as Node does, in the same memory after each step, but for the room that the cache is given", async () => {
      const { provider, cacheBytesPerToken, cacheKind, tokens, nll, steps, atEnd } = await decode(LONG);
      const source = { bytes: tiny["/groupQuery.onnx"] };
      const expected = await runInNode(source, { prompt: longPrompt, count: LONG, window });
      expect({ provider, cacheKind, tokens }).toEqual({
        provider: "webgpu",
        cacheKind: "in-place",
        tokens: expected.tokens,
      });
      // Products of the GPU sum in another order.
      expect(Math.abs(nll - expected.nll)).toBeLessThan(1e-4);
      // The prompt's step and 15 others fill the room. At the next it doubles.
      const first = steps[0]!;
      expect(steps.slice(0, 16)).toEqual(Array.from({ length: 16 }, () => first));
      const room = ROOM * cacheBytesPerToken;
      for (const { gpuBuffers, gpuBytes, wasmBytes } of steps.slice(16)) {
        expect(wasmBytes).toBe(first.wasmBytes);
        // A few buffers of 256 bytes, for shapes that were not seen before.
        expect(gpuBuffers).toBeLessThanOrEqual(first.gpuBuffers + 4);
        expect(Math.abs(gpuBytes - first.gpuBytes - room)).toBeLessThanOrEqual(4 * 256);
      }
      expect(atEnd.gpuBytes).toBeLessThan(first.gpuBytes);
    });

    it.runIf(slowTests)(
      "releases caches that grow, reports a GPU lost while decoding or idle, and loads again",
      async () => {
        const destroyDevice = () => page.workers()[0]!.evaluate(() => memory.device()!.destroy());
        const generating = page.evaluate(
          async ([url, prompt]) => {
            const lost: string[] = [];
            const onLost = (error: Error) => void lost.push((error as Error & { code: string }).code);
            const model = await kvfold.runtime.load({ url }, { executionProvider: "webgpu", onLost });
            const tokens = await kvfold.collect(model.generate(prompt, { maxNewTokens: 4 }));
            const failure = await kvfold.failureOf(
              kvfold.collect(model.generate(prompt, { maxNewTokens: 590 })),
            );
            const later = await kvfold.failureOf(model.perplexity([prompt]));
            return { kind: model.cacheKind, tokens, failure, later: later[0], lost };
          },
          ["/plain.onnx", prompt] as const,
        );
        await expect
          .poll(() => page.workers()[0]?.evaluate(() => memoryHistory.length), { timeout: 60_000 })
          .toBeGreaterThan(12 + STEPS);
        const history = await page.workers()[0]!.evaluate(() => memoryHistory);
        const [first, last] = [history[12]!, history[12 + STEPS]!];
        // What is left is ONNX Runtime's stock of buffers. Unreleased, the four tensors of each step would be 240 buffers,
        // and 30 times the last cache.
        expect(last.gpuBuffers - first.gpuBuffers).toBeLessThan(40);
        expect(last.gpuBytes - first.gpuBytes).toBeLessThan(10 * (prompt.length + STEPS) * PLAIN_TOKEN_BYTES);
        await destroyDevice();
        const { kind, tokens, failure, later, lost } = await generating;
        expect(kind).toBe("growing");
        expect(failure).toEqual([
          "device-lost",
          "the GPU was lost (Device was destroyed.): load the model again",
        ]);
        expect([later, ...lost]).toEqual(["device-lost", "device-lost"]);
        await expect.poll(() => page.workers()).toEqual([]);

        const again = await page.evaluate(
          async ([url, prompt]) => {
            const onLost = () => Object.assign(globalThis, { lost: true });
            const model = await kvfold.runtime.load({ url }, { executionProvider: "webgpu", onLost });
            return kvfold.collect(model.generate(prompt, { maxNewTokens: 4 }));
          },
          ["/plain.onnx", prompt] as const,
        );
        expect(again).toEqual(tokens);
        await destroyDevice();
        await page.waitForFunction("globalThis.lost");
        await expect.poll(() => page.workers()).toEqual([]);
      },
    );

    it("goes on with nothing after a run that failed, or a GPU without memory, and gives all back", async () => {
      const found = await page.evaluate(
        async ([path, prompt]) => {
          const provider = await kvfold.openGpuProvider();
          const open = async () => {
            const session = await provider.createSession({ path });
            const model = kvfold.createCausalLM(session);
            return { session, state: model.createState() };
          };
          const first = await open();
          await first.state.prefill(prompt);
          const failures = [
            await kvfold.failureOf(
              first.session.run({ input_ids: new kvfold.Tensor("int64", [1n], [1, 1]) }),
            ),
            await kvfold.failureOf(first.state.decode(1)),
          ];
          // Not the order that it should be: what is on the GPU goes with the session.
          await first.session.dispose();
          first.state.dispose();
          const held = [kvfold.memory.held().gpuBuffers];
          const second = await open();
          const event = new Event("uncapturederror");
          class GPUOutOfMemoryError extends Error {}
          Object.assign(event, { error: new GPUOutOfMemoryError("no buffer") });
          kvfold.memory.device()!.dispatchEvent(event);
          failures.push(await kvfold.failureOf(second.state.prefill(prompt)));
          second.state.dispose();
          await second.session.dispose();
          return { failures, held: [...held, kvfold.memory.held().gpuBuffers] };
        },
        ["/plain.onnx", prompt] as const,
      );
      expect(found.held).toEqual([0, 0]);
      expect(found.failures.map(([code]) => code)).toEqual(["run-failed", "run-failed", "out-of-memory"]);
      expect(found.failures[1]![1]).toMatch(
        /an earlier run .* failed, and ONNX Runtime cannot go on from there/,
      );
    });

    it("prefers WebAssembly to a GPU that is a program", async () => {
      const { provider, reason } = await page.evaluate(() => kvfold.chooseExecutionProvider());
      expect(provider).toBe("wasm");
      expect(reason).toMatch(/^WebAssembly, because the GPU is imitated by a program; /);
      expect(chromium.messages).toEqual([]);
    });
  },
);
