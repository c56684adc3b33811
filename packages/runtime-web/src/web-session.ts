import {
  type Feeds,
  type Fetches,
  type Results,
  RuntimeError,
  type Session,
  type SessionOptions,
  type TensorInfo,
  type TensorMemory,
} from "@kvfold/runtime";
import type { InferenceSession, Tensor } from "onnxruntime-web";
import type { ExecutionProvider } from "./choose-execution-provider.js";
import { exclusively } from "./exclusive.js";
import { gpuMemory } from "./gpu-memory.js";
import { type GpuSessionDevice, openGpuDevice } from "./gpu-session-device.js";
import { readOnnxOutline } from "./onnx-outline.js";
import { ortFailure } from "./ort-failure.js";
import type { OrtWeb } from "./ort-web.js";
import type { ModelBytes } from "./web-model-source.js";

/** Only fatal messages: what else ONNX Runtime would print to the console arrives as an error anyway. */
const LOG_FATAL = 4;
/** A device that is lost says so a moment after what ran on it has failed. */
const LOSS_DELAY_MS = 200;

/**
 * Loads a model into ONNX Runtime. With WebGPU, caches stay on the GPU.
 *
 * @throws {RuntimeError} `session-failed` when ONNX Runtime refuses the model, or there is no GPU; `out-of-memory`;
 *   `runtime-missing` when ONNX Runtime's own files do not load; `device-lost`.
 */
export async function openSession(
  ort: OrtWeb,
  provider: ExecutionProvider,
  source: ModelBytes,
  options: SessionOptions,
): Promise<WebSession> {
  const label = `a model of ${source.bytes.length} bytes`;
  const gpu = provider === "webgpu" ? await openGpuDevice() : undefined;
  try {
    const ortOptions = toOrtOptions(gpu, source, options);
    const session = await exclusively(ort, () => ort.InferenceSession.create(source.bytes, ortOptions));
    if (gpu !== undefined) await requireFloat16(session, gpu, label);
    return new WebSession({ ort, session, gpu, label });
  } catch (cause) {
    const failure =
      gpu?.failure ?? ortFailure("session-failed", `createSession: ONNX Runtime refused ${label}`, cause);
    gpu?.destroy();
    throw failure;
  }
}

/** ONNX Runtime takes such a graph on any GPU, and fails in the middle of its first run. */
async function requireFloat16(
  session: InferenceSession,
  { device }: GpuSessionDevice,
  label: string,
): Promise<void> {
  const needs = session.inputMetadata.some((input) => input.isTensor && input.type === "float16");
  if (!needs || device.features.has("shader-f16")) return;
  await session.release();
  throw new RuntimeError(
    "session-failed",
    `createSession: ${label} computes with float16, and this GPU does not (it has no shader-f16): run it on "wasm", or use a graph without float16`,
  );
}

function toOrtOptions(
  gpu: GpuSessionDevice | undefined,
  { bytes, externalData }: ModelBytes,
  { optimization, prepack = true }: SessionOptions,
): InferenceSession.SessionOptions {
  return {
    logSeverityLevel: LOG_FATAL,
    executionProviders: ["wasm"],
    ...(gpu === undefined ? {} : gpuOptions(gpu, bytes)),
    ...(externalData === undefined ? {} : { externalData }),
    ...(optimization === undefined ? {} : { graphOptimizationLevel: optimization }),
    ...(prepack ? {} : { extra: { session: { disable_prepacking: "1" } } }),
  };
}

/** Only caches stay on the GPU: everything else is wanted at once, and reading it back later would cost another wait. */
// The device is a whole one; webgpu.ts names only what is used of it.
const gpuOptions = ({ device }: GpuSessionDevice, bytes: Uint8Array): InferenceSession.SessionOptions => ({
  executionProviders: [
    { name: "webgpu", device } as unknown as InferenceSession.WebGpuExecutionProviderOption,
  ],
  preferredOutputLocation: Object.fromEntries(
    readOnnxOutline(bytes, "the model")
      .outputs.filter((name) => name.startsWith("present."))
      .map((name) => [name, "gpu-buffer"]),
  ),
});

/** Names of outputs, or what they are written into. */
type OrtFetches = readonly string[] | Readonly<Record<string, Tensor | null>>;

interface WebSessionParts {
  readonly ort: OrtWeb;
  readonly session: InferenceSession;
  readonly gpu: GpuSessionDevice | undefined;
  readonly label: string;
}

/** A model in ONNX Runtime for browsers. */
export class WebSession implements Session {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** WebAssembly leaves given outputs as they were, and says nothing. */
  readonly writesInPlace: boolean;
  readonly memory?: TensorMemory;
  /** Settles when the GPU is lost. */
  readonly lost: Promise<RuntimeError>;
  readonly #ort: OrtWeb;
  readonly #gpu: GpuSessionDevice | undefined;
  readonly #label: string;
  /** Outputs of past runs that are still on the GPU. Callers dispose of them; `dispose` frees the rest, since nothing can after the release. */
  #left: readonly Tensor[] = [];
  #session: InferenceSession | undefined;
  #failed = false;
  /** Ends the run that is under way. */
  #interrupt: (failure: RuntimeError) => void = () => {};

  constructor({ ort, session, gpu, label }: WebSessionParts) {
    this.#ort = ort;
    this.#session = session;
    this.#gpu = gpu;
    this.#label = label;
    this.inputs = session.inputMetadata.map(toTensorInfo);
    this.outputs = session.outputMetadata.map(toTensorInfo);
    this.writesInPlace = gpu !== undefined;
    if (gpu !== undefined) this.memory = gpuMemory(ort, gpu.device);
    this.lost = gpu?.lost ?? new Promise(() => {});
    void this.lost.then((failure) => this.#interrupt(failure));
  }

  run(feeds: Feeds, fetches?: Fetches): Promise<Results> {
    return exclusively(this.#ort, async () => {
      const session = this.#available();
      const ortFetches = this.#toOrtFetches(fetches);
      try {
        const results = await this.#unlessLost(
          session.run(feeds, ortFetches, { logSeverityLevel: LOG_FATAL }),
        );
        this.#keepTrack(results, ortFetches);
        if (this.#gpu?.failure !== undefined) throw this.#gpu.failure;
        return results;
      } catch (cause) {
        this.#failed = this.#gpu !== undefined;
        const doing = `run: ONNX Runtime failed on ${this.#label}`;
        throw (await this.#gpuFailure()) ?? ortFailure("run-failed", doing, cause);
      }
    });
  }

  async dispose(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined) return;
    await exclusively(this.#ort, async () => {
      for (const tensor of this.#left.filter(isOnGpu)) tensor.dispose();
      await session.release();
    });
    this.#gpu?.destroy();
  }

  #keepTrack(results: Results, fetches: OrtFetches): void {
    const given = isNames(fetches) ? {} : fetches;
    const made = Object.entries(results).flatMap(([name, tensor]) => (given[name] ? [] : [tensor]));
    this.#left = [...this.#left, ...made].filter(isOnGpu);
  }

  #available(): InferenceSession {
    if (this.#session === undefined) {
      throw new RuntimeError("disposed", `run: the session of ${this.#label} was disposed: create another`);
    }
    if (this.#gpu?.failure !== undefined) throw this.#gpu.failure;
    // ONNX Runtime 1.30 keeps the inputs of a failed run bound: every later run would compute with those.
    if (this.#failed) {
      throw new RuntimeError(
        "run-failed",
        `run: an earlier run on ${this.#label} failed, and ONNX Runtime cannot go on from there with WebGPU: load it again`,
      );
    }
    return this.#session;
  }

  /**
   * What waits for a GPU that is gone might wait for ever. No race with the device's promise: as long as that is not
   * settled, it would hold on to the results of every run.
   */
  #unlessLost<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#interrupt = reject;
      work.then(resolve, reject);
    });
  }

  async #gpuFailure(): Promise<RuntimeError | undefined> {
    if (this.#gpu === undefined) return undefined;
    const delay = new Promise((resolve) => setTimeout(resolve, LOSS_DELAY_MS));
    await Promise.race([this.#gpu.lost, delay]);
    return this.#gpu.failure;
  }

  /**
   * Tensors on the GPU are written into. Those in the memory of the CPU would come back as they were, and the results
   * would be lost: of these only the name counts.
   */
  #toOrtFetches(fetches: Fetches = this.outputs.map(({ name }) => name)): OrtFetches {
    if (isNames(fetches)) return fetches;
    return Object.fromEntries(
      Object.entries(fetches).map(([name, tensor]) => [name, tensor && this.#adopt(tensor)]),
    );
  }

  /** ONNX Runtime silently ignores tensors that are no instances of its own class. */
  #adopt(tensor: Tensor): Tensor | null {
    const { Tensor } = this.#ort;
    if (tensor.location !== "gpu-buffer") return null;
    if (tensor instanceof Tensor) return tensor;
    const dataType = tensor.type as Tensor.GpuBufferDataTypes;
    return Tensor.fromGpuBuffer(tensor.gpuBuffer, { dataType, dims: tensor.dims });
  }
}

/** A tensor that was disposed is nowhere. */
const isOnGpu = ({ location }: Tensor): boolean => location === "gpu-buffer";

const isNames = (fetches: Fetches): fetches is readonly string[] => Array.isArray(fetches);

function toTensorInfo(metadata: InferenceSession.ValueMetadata): TensorInfo {
  if (!metadata.isTensor) throw new TypeError(`expected tensors only, found ${metadata.name} to be none`);
  const { name, type, shape } = metadata;
  return { name, type, shape };
}
