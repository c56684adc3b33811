import { RuntimeError } from "@kvfold/runtime";
import { requestAdapter } from "./request-adapter.js";
import { browserGpu, type GpuAdapter, type GpuDevice, type GpuErrorEvent } from "./webgpu.js";

/** What kernels of ONNX Runtime make use of, where a GPU has it. */
const FEATURES = ["shader-f16"] as const;
const SUBGROUP_FEATURES = [
  "subgroups",
  "subgroup-size-control",
  "chromium-experimental-subgroup-matrix",
] as const;

/**
 * With smaller subgroups than these, ONNX Runtime 1.30 computes attention wrongly, and says nothing: on SwiftShader,
 * whose subgroups are of 4, prompts of 32 tokens or more get logits that are off by as much as the logits themselves.
 */
const LEAST_SUBGROUP = 8;

/** A device has the least of these that WebGPU allows, unless it is asked for what its adapter can do. */
const LIMITS = [
  "maxBindGroups",
  "maxBufferSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
  "maxComputeWorkgroupStorageSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
] as const;

/**
 * The GPU device of one session. It is not the one that ONNX Runtime would open for all sessions of a page: that one
 * holds on to its memory for as long as the page lives, and once it is lost, no further session works.
 */
export class GpuSessionDevice {
  readonly device: GpuDevice;
  /** Settles when the device is lost; never when it is destroyed. */
  readonly lost: Promise<RuntimeError>;
  #failure: RuntimeError | undefined;
  #destroyed = false;

  constructor(device: GpuDevice) {
    this.device = device;
    this.lost = new Promise((resolve) => {
      void device.lost.then(({ message }) => {
        if (this.#destroyed) return;
        this.#failure = lostDevice(message);
        resolve(this.#failure);
      });
    });
    device.addEventListener("uncapturederror", (event) => {
      this.#failure ??= gpuFailure((event as GpuErrorEvent).error);
    });
  }

  /** The first thing that went wrong on the GPU: results after it are not to be trusted. */
  get failure(): RuntimeError | undefined {
    return this.#failure;
  }

  /** Gives back all memory of the GPU at once. */
  destroy(): void {
    this.#destroyed = true;
    this.device.destroy();
  }
}

/**
 * Opens a device with everything that its GPU can do.
 *
 * @throws {RuntimeError} `session-failed` when there is no GPU, or it cannot be had.
 */
export async function openGpuDevice(): Promise<GpuSessionDevice> {
  try {
    const gpu = browserGpu();
    const adapter = gpu && (await requestAdapter(gpu));
    if (adapter === undefined) throw new Error("none that the browser would use");
    return new GpuSessionDevice(await adapter.requestDevice(everythingOf(adapter)));
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new RuntimeError("session-failed", `expected a GPU for WebGPU, found ${found}: run on "wasm"`, {
      cause,
    });
  }
}

function everythingOf({ features, limits, info }: GpuAdapter): Parameters<GpuAdapter["requestDevice"]>[0] {
  const wanted =
    (info.subgroupMinSize ?? 0) < LEAST_SUBGROUP ? FEATURES : [...FEATURES, ...SUBGROUP_FEATURES];
  return {
    requiredFeatures: wanted.filter((feature) => features.has(feature)),
    requiredLimits: Object.fromEntries(
      LIMITS.flatMap((name) => (limits[name] === undefined ? [] : [[name, limits[name]]])),
    ),
  };
}

const lostDevice = (message: string): RuntimeError =>
  new RuntimeError(
    "device-lost",
    `the GPU was lost (${message || "the browser does not say why"}): load the model again`,
  );

function gpuFailure(error: GpuErrorEvent["error"]): RuntimeError {
  if (error.constructor.name === "GPUOutOfMemoryError") {
    return new RuntimeError(
      "out-of-memory",
      `expected more memory on the GPU, found none left (${error.message}): use a smaller model or a shorter context`,
    );
  }
  return new RuntimeError("run-failed", `the GPU refused its work: ${error.message}`);
}
