import { requestAdapter } from "./request-adapter.js";
import { browserGpu, type GpuAdapter } from "./webgpu.js";

/** What runs a model in a browser. */
export type ExecutionProvider = "wasm" | "webgpu";

/** A provider that this page can use, and why. */
export interface ProviderChoice {
  readonly provider: ExecutionProvider;
  /** A sentence to show to the user. */
  readonly reason: string;
  /** Threads of WebAssembly, which also runs what a GPU cannot. */
  readonly threads: number;
}

/** As many threads as ONNX Runtime takes by itself: half of the logical cores, four at most. */
const MOST_THREADS = 4;

/**
 * Chooses what is to run models on this page: WebGPU where the browser gives a GPU, WebAssembly otherwise, with threads
 * where the page is isolated from other origins. A program that imitates a GPU is no reason for WebGPU: WebAssembly
 * does the same work with less in between.
 *
 * @param wanted - A provider to take whatever there is, or `auto`.
 *
 * @example
 * ```ts
 * import { chooseExecutionProvider } from "@kvfold/runtime-web";
 *
 * const { provider, threads } = await chooseExecutionProvider("wasm");
 * provider; // => "wasm"
 * threads >= 1; // => true
 * ```
 */
export async function chooseExecutionProvider(
  wanted: ExecutionProvider | "auto" = "auto",
): Promise<ProviderChoice> {
  if (wanted === "webgpu")
    return { provider: "webgpu", reason: "WebGPU, as asked for.", threads: threadCount() };
  if (wanted === "wasm") return webAssembly("as asked for");
  const found = await findGpu();
  if (typeof found === "string") return webAssembly(found);
  return { provider: "webgpu", reason: `WebGPU, on ${describeGpu(found)}.`, threads: threadCount() };
}

/** WebAssembly for a reason. */
export function webAssembly(why: string): ProviderChoice {
  const threads = threadCount();
  const many = threads === 1 ? "one thread" : `${threads} threads`;
  const limit = isIsolated() ? "" : ", since the page is not isolated from other origins (COOP and COEP)";
  return { provider: "wasm", reason: `WebAssembly, ${why}; ${many}${limit}.`, threads };
}

/** Threads share memory, which pages do only apart from other origins. */
const isIsolated = (): boolean => globalThis.crossOriginIsolated === true;

const threadCount = (): number =>
  isIsolated() ? Math.min(MOST_THREADS, Math.ceil((globalThis.navigator?.hardwareConcurrency ?? 1) / 2)) : 1;

/** The GPU, or why there is none. */
async function findGpu(): Promise<GpuAdapter | string> {
  const gpu = browserGpu();
  if (gpu === undefined) {
    return globalThis.isSecureContext === false
      ? "because browsers keep WebGPU from pages without HTTPS"
      : "because this browser has no WebGPU";
  }
  const adapter = await requestAdapter(gpu).catch(() => undefined);
  if (adapter === undefined) return "because the browser finds no GPU that it would use";
  return adapter.info.isFallbackAdapter === true ? "because the GPU is imitated by a program" : adapter;
}

function describeGpu({ info }: GpuAdapter): string {
  const words = info.description || [info.vendor, info.architecture].filter((word) => word !== "").join(" ");
  return words === "" ? "a GPU that the browser does not name" : words;
}
