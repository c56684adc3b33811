import { elementBytes } from "./cache-layout.js";
import type { Tensor } from "./port.js";
import { tensorOver, zeros } from "./tensors.js";

/** What an engine adds to an `ArrayBuffer` that may grow; older ones ignore the limit that is asked for. */
interface ResizableBuffer extends ArrayBuffer {
  readonly resizable?: boolean;
  readonly maxByteLength?: number;
  resize?(byteLength: number): void;
}
const ArrayBufferUpTo = ArrayBuffer as new (
  byteLength: number,
  options: { readonly maxByteLength: number },
) => ResizableBuffer;

type Numbers = Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;

/** Addresses are set aside for this many times the bytes at first; memory is taken for what is in use alone. */
const RESERVE = 4;

/**
 * A tensor of zeros that {@link widen} can grow where it lies. Where the engine cannot set aside addresses, it is an ordinary
 * one, which is copied when it grows.
 */
export function growableZeros(type: "float32" | "float16", dims: readonly number[]): Tensor {
  const count = dims.reduce((product, size) => product * size, 1);
  const bytes = count * elementBytes({ type });
  try {
    return tensorOver(type, new ArrayBufferUpTo(bytes, { maxByteLength: RESERVE * bytes }), dims);
  } catch {
    return zeros(type, dims);
  }
}

/**
 * Gives every head of a cache `[B, heads, P, size]` room for `capacity` slots; the first `length` are kept, the others hold any
 * numbers that were there before. The tensor that is given must not be used afterwards.
 */
export function widen(tensor: Tensor, capacity: number, length: number): Tensor {
  const [sequences, heads, old, size] = tensor.dims as [number, number, number, number];
  const { BYTES_PER_ELEMENT: width, buffer } = tensor.data as Numbers;
  const type = tensor.type as "float32" | "float16";
  const dims = [sequences, heads, capacity, size];
  const bytes = sequences * heads * capacity * size * width;
  const resized = resize(buffer, bytes) ? tensorOver(type, buffer, dims) : growableZeros(type, dims);
  const from = tensor.data as Numbers;
  const to = resized.data as Numbers;
  // Heads move to higher addresses, the last one first.
  for (let head = sequences * heads - 1; head >= 0; head--) {
    const [start, target] = [head * old * size, head * capacity * size];
    if (to.buffer === from.buffer) to.copyWithin(target, start, start + length * size);
    else to.set(from.subarray(start, start + length * size), target);
  }
  if (to.buffer !== from.buffer) release(tensor);
  return resized;
}

/** Gives memory back at once, where the engine can, and not when garbage is collected. */
export function release(tensor: Tensor): void {
  resize((tensor.data as Numbers).buffer, 0);
}

function resize(buffer: ResizableBuffer, bytes: number): boolean {
  if (buffer.resizable !== true || bytes > buffer.maxByteLength!) return false;
  buffer.resize!(bytes);
  return true;
}
