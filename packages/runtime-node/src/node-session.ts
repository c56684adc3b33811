import {
  type Feeds,
  type Fetches,
  type ModelSource,
  type Results,
  RuntimeError,
  type Session,
  type SessionOptions,
  type Tensor,
  type TensorInfo,
  type TensorMemory,
} from "@kvfold/runtime";
import type { InferenceSession } from "onnxruntime-node";
import type { ExecutionProvider } from "./execution-provider.js";
import { type GpuBuffers, gpuSession, LOG_FATAL, webGpu } from "./gpu-buffers.js";
import { GpuMemory } from "./gpu-memory.js";
import { ortFailure } from "./ort-failure.js";
import type { OrtNode } from "./ort-node.js";
import { type PresentOutputs, readPresents } from "./present-outputs.js";
import { probe } from "./probe.js";
import type { WorkQueue } from "./work-queue.js";

export declare namespace openSession {
  interface Options extends SessionOptions {
    readonly executionProviders: readonly ExecutionProvider[];
    readonly gpuBuffers: GpuBuffers | undefined;
    /** What all sessions on a GPU have in common. */
    readonly queue: WorkQueue;
  }
}

/**
 * Loads a model into ONNX Runtime. With WebGPU, caches stay on the GPU.
 *
 * @throws {RuntimeError} `session-failed` when ONNX Runtime refuses the model, its external data or the device; `out-of-memory`.
 */
export async function openSession(
  ort: OrtNode,
  source: ModelSource,
  options: openSession.Options,
): Promise<Session> {
  const label = "path" in source ? source.path : `a model of ${source.bytes.length} bytes`;
  try {
    const onGpu = options.executionProviders.includes("webgpu");
    const presents = onGpu ? await readPresents(source) : NO_PRESENTS;
    const session = await create(ort, source, { ...toOrtOptions(options), ...presents.locations });
    if (onGpu) await requireFloat16(ort, session, label);
    const { queue, gpuBuffers } = options;
    const memory = onGpu ? new GpuMemory({ ort, session: gpuSession(gpuBuffers), queue }) : undefined;
    // Other devices take caches from the CPU and give them back to it: nothing is written where it lies.
    const isCpu = options.executionProviders.every((name) => name === "cpu");
    const writesInPlace = isCpu || (onGpu && !presents.areLeft);
    return new NodeSession({ ort, session, label, memory, writesInPlace });
  } catch (cause) {
    throw ortFailure("session-failed", `createSession: ONNX Runtime refused ${label}`, cause);
  }
}

/** A GPU without float16 takes such a graph all the same, and fails in the middle of its first run. */
async function requireFloat16(ort: OrtNode, session: InferenceSession, label: string): Promise<void> {
  if (!session.inputMetadata.some((input) => input.isTensor && input.type === "float16")) return;
  const failure = await probe(ort, "webgpu", "float16");
  if (failure === undefined) return;
  await session.release();
  throw new RuntimeError(
    "session-failed",
    `createSession: ${label} computes with float16, and webgpu does not here (${failure}): use a float32 or four-bit graph, or the CPU`,
  );
}

const NO_PRESENTS: PresentOutputs = { areLeft: false, locations: {} };

function create(
  { InferenceSession }: OrtNode,
  source: ModelSource,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  if ("path" in source) return InferenceSession.create(source.path, options);
  const { bytes, externalData } = source;
  return InferenceSession.create(bytes, externalData === undefined ? options : { ...options, externalData });
}

const toOrtOptions = ({
  executionProviders,
  gpuBuffers,
  threads,
  optimization,
  prepack = true,
  spinning = true,
}: openSession.Options): InferenceSession.SessionOptions => ({
  executionProviders: executionProviders.map((name) => (name === "webgpu" ? webGpu(gpuBuffers) : name)),
  logSeverityLevel: LOG_FATAL,
  ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
  ...(optimization === undefined ? {} : { graphOptimizationLevel: optimization }),
  ...(prepack && spinning ? {} : { extra: { session: sessionEntries(prepack, spinning) } }),
});

/** ONNX Runtime's own names: `session.disable_prepacking` and `session.intra_op.allow_spinning`. */
const sessionEntries = (prepack: boolean, spinning: boolean) => ({
  ...(prepack ? {} : { disable_prepacking: "1" }),
  ...(spinning ? {} : { intra_op: { allow_spinning: "0" } }),
});

interface NodeSessionParts {
  readonly ort: OrtNode;
  readonly session: InferenceSession;
  readonly label: string;
  readonly memory: GpuMemory | undefined;
  readonly writesInPlace: boolean;
}

class NodeSession implements Session {
  readonly writesInPlace: boolean;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly memory?: TensorMemory;
  readonly #ort: OrtNode;
  readonly #label: string;
  readonly #gpu: GpuMemory | undefined;
  #session: InferenceSession | undefined;
  #failed = false;

  constructor({ ort, session, label, memory, writesInPlace }: NodeSessionParts) {
    this.#ort = ort;
    this.#session = session;
    this.#label = label;
    this.#gpu = memory;
    if (memory !== undefined) this.memory = memory;
    this.writesInPlace = writesInPlace;
    this.inputs = session.inputMetadata.map(toTensorInfo);
    this.outputs = session.outputMetadata.map(toTensorInfo);
  }

  run(feeds: Feeds, fetches?: Fetches): Promise<Results> {
    const gpu = this.#gpu;
    if (gpu === undefined) return this.#run(feeds, this.#toOrtFetches(fetches));
    return gpu.exclusively(() => this.#runOnGpu(gpu, feeds, fetches));
  }

  async dispose(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined) return;
    await this.#gpu?.dispose();
    await session.release();
  }

  async #run(feeds: Feeds, fetches: InferenceSession.FetchesType): Promise<Results> {
    const session = this.#available();
    try {
      return await session.run(feeds, fetches, { logSeverityLevel: LOG_FATAL });
    } catch (cause) {
      this.#failed = this.#gpu !== undefined;
      throw ortFailure("run-failed", `run: ONNX Runtime failed on ${this.#label}`, cause);
    }
  }

  async #runOnGpu(gpu: GpuMemory, feeds: Feeds, fetches?: Fetches): Promise<Results> {
    const resolve = async (tensor: Tensor) => (gpu.holds(tensor) ? gpu.resolve(tensor) : tensor);
    const given = fetches === undefined || isNames(fetches) ? {} : fetches;
    const targets = new Map<string, Tensor>();
    for (const [name, tensor] of Object.entries(given)) if (tensor) targets.set(name, tensor);
    const resolved: Record<string, Tensor | null> = {};
    for (const name of this.#namesToRun(fetches)) {
      const target = targets.get(name);
      resolved[name] = this.writesInPlace && target !== undefined ? this.#adopt(await resolve(target)) : null;
    }
    const entries = Object.entries(feeds).map(
      async ([name, tensor]) => [name, await resolve(tensor)] as const,
    );
    const results = await this.#run(Object.fromEntries(await Promise.all(entries)), resolved);
    const wanted = namesOf(fetches, this.outputs);
    for (const [name, result] of Object.entries(results))
      if (!wanted.includes(name) && result.location === "gpu-buffer") result.dispose();
    return Object.fromEntries(
      wanted.map((name) => {
        const result = results[name]!;
        return [name, result.location === "gpu-buffer" ? (targets.get(name) ?? gpu.adopt(result)) : result];
      }),
    );
  }

  /**
   * Where outputs are left on the GPU, ONNX Runtime 1.30 takes their places by number from the outputs that are asked for:
   * all of them, or they get each other's.
   */
  #namesToRun(fetches: Fetches | undefined): readonly string[] {
    return this.writesInPlace ? namesOf(fetches, this.outputs) : this.outputs.map(({ name }) => name);
  }

  #available(): InferenceSession {
    if (this.#session === undefined) {
      throw new RuntimeError("disposed", `run: the session of ${this.#label} was disposed: create another`);
    }
    // ONNX Runtime 1.30 keeps the inputs of a failed run bound: every later run would compute with those.
    if (this.#failed) {
      throw new RuntimeError(
        "run-failed",
        `run: an earlier run on ${this.#label} failed, and ONNX Runtime cannot go on from there on a GPU: load it again`,
      );
    }
    return this.#session;
  }

  /**
   * ONNX Runtime silently ignores outputs to write into that are no instances of its own `Tensor`, such as those of the
   * ES module build of onnxruntime-common (it loads the CommonJS one): same memory, new tensor.
   */
  #toOrtFetches(fetches: Fetches = this.outputs.map(({ name }) => name)): InferenceSession.FetchesType {
    if (isNames(fetches)) return fetches;
    return Object.fromEntries(
      Object.entries(fetches).map(([name, tensor]) => [
        name,
        tensor && this.writesInPlace ? this.#adopt(tensor) : null,
      ]),
    );
  }

  #adopt(tensor: Tensor): Tensor {
    const { Tensor } = this.#ort;
    return tensor instanceof Tensor ? tensor : new Tensor(tensor.type, tensor.data, tensor.dims);
  }
}

const isNames = (fetches: Fetches): fetches is readonly string[] => Array.isArray(fetches);

function namesOf(fetches: Fetches | undefined, outputs: readonly TensorInfo[]): readonly string[] {
  if (fetches === undefined) return outputs.map(({ name }) => name);
  return isNames(fetches) ? fetches : Object.keys(fetches);
}

function toTensorInfo(metadata: InferenceSession.ValueMetadata): TensorInfo {
  if (!metadata.isTensor) throw new TypeError(`expected tensors only, found ${metadata.name} to be none`);
  const { name, type, shape } = metadata;
  return { name, type, shape };
}
