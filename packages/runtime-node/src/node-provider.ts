import {
  type DeviceMemory,
  type ModelSource,
  RuntimeError,
  type Session,
  type SessionOptions,
  type SessionProvider,
} from "@kvfold/runtime";
import { checkExecutionProviders, type ExecutionProvider } from "./execution-provider.js";
import { type GpuBuffers, gpuSession } from "./gpu-buffers.js";
import { GpuMemory } from "./gpu-memory.js";
import { checkModelFile } from "./model-file.js";
import { openSession } from "./node-session.js";
import { importOrt, type OrtNode } from "./ort-node.js";
import { createWorkQueue, type WorkQueue } from "./work-queue.js";

export declare namespace nodeProvider {
  interface Options {
    /** The `onnxruntime-node` module; imported at the first session when left out. */
    readonly ort?: OrtNode | undefined;
    /**
     * What runs a graph, the first that can for each of its operators; `["cpu"]` by default. The CPU is always the last.
     * With `webgpu`, caches stay in the memory of the GPU; other GPUs get them from the CPU at each run.
     */
    readonly executionProviders?: readonly ExecutionProvider[] | undefined;
    /** Threads of one operator on the CPU, for sessions that do not say; by default as many as there are cores. */
    readonly threads?: number | undefined;
    /**
     * Bytes of GPU memory that a fold may keep hidden states in, beside weights and what graphs need for themselves; 4 GiB
     * unless given. Those of 128 windows of 1024 tokens at width 2048 take up to 8 GiB, and what does not fit goes to the CPU
     * and back. WebGPU alone keeps any.
     */
    readonly deviceBytes?: number | undefined;
    /**
     * Which of the buffers that a run on a GPU is done with are kept for later runs: `some` of common sizes unless given, or
     * `all`, each for one of its very size. To make a large buffer takes longer than most kernels, so `all` is for graphs that
     * run many times on inputs of the same sizes; with others, memory would only grow. WebGPU alone; the first session that is
     * open on the GPU decides for all.
     */
    readonly gpuBuffers?: GpuBuffers | undefined;
  }
}

const DEVICE_BYTES = 4 * 2 ** 30;

/**
 * ONNX Runtime for Node behind the session port.
 *
 * A run is native code that blocks the event loop until it is done: timers, sockets and signals wait. Put a provider
 * into a `worker_threads` worker to stay responsive.
 *
 * Sessions throw `invalid-argument` for an execution provider that the installed package does not have, and `session-failed`
 * for one that finds no GPU; {@link chooseDevice} tries that beforehand.
 *
 * @example
 * ```ts
 * import { nodeProvider } from "@kvfold/runtime-node";
 *
 * nodeProvider().name // => "onnxruntime-node"
 * nodeProvider({ executionProviders: ["webgpu"], threads: 4 }).name // => "onnxruntime-node"
 * ```
 */
export function nodeProvider(options: nodeProvider.Options = {}): SessionProvider {
  const { executionProviders = ["cpu"] } = options;
  const queue = createWorkQueue();
  return {
    name: "onnxruntime-node",
    graph: executionProviders.every((provider) => provider === "cpu") ? "delta" : "standard",
    createSession: (source, session) => createSession({ ...options, queue }, source, session),
    ...(executionProviders.includes("webgpu") ? { openMemory: () => openMemory(options, queue) } : {}),
  };
}

async function openMemory(
  { ort: given, deviceBytes: bytes = DEVICE_BYTES, gpuBuffers }: nodeProvider.Options,
  queue: WorkQueue,
): Promise<DeviceMemory> {
  return new GpuMemory({ ort: given ?? (await importOrt()), session: gpuSession(gpuBuffers), queue, bytes });
}

async function createSession(
  {
    ort: given,
    executionProviders = ["cpu"],
    threads,
    gpuBuffers,
    queue,
  }: nodeProvider.Options & { readonly queue: WorkQueue },
  source: ModelSource,
  options?: SessionOptions,
): Promise<Session> {
  await checkSource(source);
  const ort = given ?? (await importOrt());
  checkExecutionProviders(ort, executionProviders);
  return openSession(ort, source, { threads, ...options, executionProviders, gpuBuffers, queue });
}

async function checkSource(source: ModelSource): Promise<void> {
  if ("path" in source) return checkModelFile(source.path);
  if (source.bytes.length === 0) {
    throw new RuntimeError("model-unreadable", "createSession: expected the bytes of a model, found none");
  }
}
