import { createCausalLM, generate, perplexity, RuntimeError, Tensor } from "@kvfold/runtime";
import * as ort from "onnxruntime-web/wasm";
import {
  chooseExecutionProvider,
  createWebRuntime,
  deleteStoredModels,
  readModelSource,
  type WebProvider,
  type WebRuntime,
  webProvider,
} from "../src/index.js";
import { type TrackedMemory, trackMemory } from "./track-memory.js";

/** All of an asynchronous iteration. */
async function collect<T>(values: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}

/** Code and message of what a promise rejects with. */
const failureOf = (promise: Promise<unknown>): Promise<readonly [code: string, message: string]> =>
  promise.then(
    () => ["none", "it succeeded"] as const,
    (error: unknown) =>
      RuntimeError.isInstance(error)
        ? ([error.code, error.message] as const)
        : (["unknown", String(error)] as const),
  );

/** The longest time for which the page did nothing, while `work` was done. */
async function longestPause<T>(
  work: () => Promise<T>,
): Promise<{ readonly pause: number; readonly result: T }> {
  let pause = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    pause = Math.max(pause, now - last);
    last = now;
  }, 5);
  const result = await work();
  clearInterval(timer);
  return { pause: Math.max(pause, performance.now() - last), result };
}

/** What tests call in the page. */
export interface PageApi {
  readonly runtime: WebRuntime;
  readonly provider: WebProvider;
  /** Another build of ONNX Runtime, which most tests do without. */
  readonly openGpuProvider: () => Promise<WebProvider>;
  readonly memory: TrackedMemory;
  readonly collect: typeof collect;
  readonly failureOf: typeof failureOf;
  readonly longestPause: typeof longestPause;
  readonly chooseExecutionProvider: typeof chooseExecutionProvider;
  readonly createCausalLM: typeof createCausalLM;
  readonly createWebRuntime: typeof createWebRuntime;
  readonly deleteStoredModels: typeof deleteStoredModels;
  readonly generate: typeof generate;
  readonly perplexity: typeof perplexity;
  readonly readModelSource: typeof readModelSource;
  readonly Tensor: typeof Tensor;
}

const api: PageApi = {
  runtime: createWebRuntime({ worker: () => new Worker("/worker.js", { type: "module" }) }),
  provider: webProvider(ort, { wasmPaths: "/ort/" }),
  openGpuProvider: async () =>
    webProvider(await import("onnxruntime-web/webgpu"), { executionProvider: "webgpu", wasmPaths: "/ort/" }),
  memory: trackMemory(),
  collect,
  failureOf,
  longestPause,
  chooseExecutionProvider,
  createCausalLM,
  createWebRuntime,
  deleteStoredModels,
  generate,
  perplexity,
  readModelSource,
  Tensor,
};

Object.assign(globalThis, { kvfold: api });
