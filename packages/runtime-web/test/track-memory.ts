import type { GpuAdapter, GpuBuffer, GpuDevice } from "../src/webgpu.js";

export interface HeldMemory {
  /** Buffers of the GPU that were made and not destroyed. */
  readonly gpuBuffers: number;
  readonly gpuBytes: number;
  /** Of WebAssembly's memory, which never shrinks. */
  readonly wasmBytes: number;
}

/** The memory that a thread holds, seen from outside of all code that uses it. */
export interface TrackedMemory {
  held(): HeldMemory;
  /** The device that was opened last. */
  device(): GpuDevice | undefined;
}

type Prototype<T> = { readonly prototype: T };

/** Wraps the constructors through which memory is had. */
export function trackMemory(): TrackedMemory {
  const buffers = new Map<GpuBuffer, number>();
  const memories: WebAssembly.Memory[] = [];
  let device: GpuDevice | undefined;
  const scope = globalThis as unknown as {
    readonly GPUAdapter?: Prototype<GpuAdapter>;
    readonly GPUDevice?: Prototype<GpuDevice>;
    readonly GPUBuffer?: Prototype<GpuBuffer>;
  };
  wrap(scope.GPUAdapter?.prototype, "requestDevice", async (opening: Promise<GpuDevice>) => {
    device = await opening;
    return device;
  });
  wrap(scope.GPUDevice?.prototype, "createBuffer", (buffer: GpuBuffer) => {
    buffers.set(buffer, buffer.size);
    return buffer;
  });
  wrap(
    scope.GPUBuffer?.prototype,
    "destroy",
    (_: undefined, buffer: GpuBuffer) => void buffers.delete(buffer),
  );
  WebAssembly.Memory = new Proxy(WebAssembly.Memory, {
    construct(target, args: [WebAssembly.MemoryDescriptor]) {
      const memory = new target(...args);
      memories.push(memory);
      return memory;
    },
  });
  return {
    held: () => ({
      gpuBuffers: buffers.size,
      gpuBytes: [...buffers.values()].reduce((sum, bytes) => sum + bytes, 0),
      wasmBytes: memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0),
    }),
    device: () => device,
  };
}

/** Has `after` see, and give, what a method returns. */
function wrap<T extends object, R>(
  prototype: T | undefined,
  name: keyof T,
  after: (result: R, instance: T) => unknown,
): void {
  if (prototype === undefined) return;
  const method = prototype[name] as (...args: unknown[]) => R;
  Object.defineProperty(prototype, name, {
    value(this: T, ...args: unknown[]) {
      return after(method.apply(this, args), this);
    },
  });
}
