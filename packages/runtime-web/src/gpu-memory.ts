import { formatBytes, RuntimeError, type TensorMemory } from "@kvfold/runtime";
import type { Tensor } from "onnxruntime-web";
import type { OrtWeb } from "./ort-web.js";
import { CACHE_BUFFER_USAGE, type GpuBuffer, type GpuDevice } from "./webgpu.js";

/** Memory of a GPU for caches that are written in place. */
export const gpuMemory = ({ Tensor }: Pick<OrtWeb, "Tensor">, device: GpuDevice): TensorMemory => ({
  allocate(dataType, dims) {
    const elements = dims.reduce((product, size) => product * size, 1);
    const size = elements * (dataType === "float16" ? 2 : 4);
    checkSize(size, device);
    const buffer = device.createBuffer({ size, usage: CACHE_BUFFER_USAGE });
    return Tensor.fromGpuBuffer(buffer as unknown as Tensor.GpuBufferType, {
      dataType,
      dims,
      dispose: () => buffer.destroy(),
    });
  },
  copyTokens(from, to, tokens) {
    const [, heads, capacity, size] = from.dims as [number, number, number, number];
    const rowBytes = size * (from.type === "float16" ? 2 : 4);
    checkAligned(rowBytes);
    const commands = device.createCommandEncoder();
    for (let head = 0; head < heads; head++) {
      commands.copyBufferToBuffer(
        bufferOf(from),
        head * capacity * rowBytes,
        bufferOf(to),
        head * to.dims[2]! * rowBytes,
        tokens * rowBytes,
      );
    }
    device.queue.submit([commands.finish()]);
  },
});

const bufferOf = (tensor: Tensor): GpuBuffer => tensor.gpuBuffer as unknown as GpuBuffer;

/** WebGPU copies whole words of four bytes. Heads of an in-place cache are multiples of eight numbers. */
function checkAligned(rowBytes: number): void {
  if (rowBytes % 4 === 0) return;
  throw new RuntimeError(
    "invalid-argument",
    `expected cached tokens of a multiple of 4 bytes to copy on the GPU, found ${rowBytes}: use an even head size`,
  );
}

function checkSize(size: number, { limits }: GpuDevice): void {
  const most = Math.min(limits.maxBufferSize!, limits.maxStorageBufferBindingSize!);
  if (size <= most) return;
  throw new RuntimeError(
    "out-of-memory",
    `expected a cache of at most ${formatBytes(most)} a layer, which is what this GPU takes, found ${formatBytes(size)}: ` +
      "use a shorter context",
  );
}
