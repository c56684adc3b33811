import type { InferenceSession } from "onnxruntime-node";

/** Which buffers that a run on a GPU is done with are kept for later runs. */
export type GpuBuffers = "some" | "all";

/** Only fatal messages: what else ONNX Runtime would print arrives as an error anyway. */
export const LOG_FATAL = 4;

/** WebGPU, as sessions are made with it. */
export const webGpu = (buffers: GpuBuffers = "some"): InferenceSession.ExecutionProviderConfig =>
  buffers === "all" ? { name: "webgpu", storageBufferCacheMode: "simple" } : "webgpu";

/** How sessions are made that do work in the memory of the GPU. */
export const gpuSession = (buffers?: GpuBuffers): InferenceSession.SessionOptions => ({
  executionProviders: [webGpu(buffers)],
  logSeverityLevel: LOG_FATAL,
});
