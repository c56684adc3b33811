/**
 * What is used of WebGPU (w3.org/TR/webgpu), which TypeScript's own library does not describe yet.
 */

/** `navigator.gpu`. */
export interface Gpu {
  requestAdapter(): Promise<GpuAdapter | null>;
}

export interface GpuAdapter {
  readonly features: ReadonlySet<string>;
  readonly limits: Readonly<Record<string, number>>;
  readonly info: {
    readonly vendor: string;
    readonly architecture: string;
    readonly description: string;
    /** Whether the adapter is a program that imitates a GPU. */
    readonly isFallbackAdapter?: boolean;
    /** Threads that at least work in step. */
    readonly subgroupMinSize?: number;
  };
  requestDevice(descriptor: {
    readonly requiredFeatures: readonly string[];
    readonly requiredLimits: Readonly<Record<string, number>>;
  }): Promise<GpuDevice>;
}

export interface GpuDevice extends EventTarget {
  readonly features: ReadonlySet<string>;
  readonly limits: Readonly<Record<string, number>>;
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  readonly queue: { submit(commands: readonly unknown[]): void };
  createBuffer(descriptor: { readonly size: number; readonly usage: number }): GpuBuffer;
  createCommandEncoder(): GpuCommandEncoder;
  destroy(): void;
}

export interface GpuBuffer {
  readonly size: number;
  destroy(): void;
}

interface GpuCommandEncoder {
  copyBufferToBuffer(
    from: GpuBuffer,
    fromOffset: number,
    to: GpuBuffer,
    toOffset: number,
    size: number,
  ): void;
  finish(): unknown;
}

/** An `uncapturederror` event of a device. */
export interface GpuErrorEvent extends Event {
  readonly error: { readonly message: string };
}

/** `GPUBufferUsage`: copied from, copied to, read and written by shaders. */
export const CACHE_BUFFER_USAGE: number = 0x04 | 0x08 | 0x80;

/** The browser's WebGPU, on pages that may use it. */
export const browserGpu = (): Gpu | undefined =>
  (globalThis.navigator as (Navigator & { readonly gpu?: Gpu }) | undefined)?.gpu;
