import type { DataType } from "./data-type.js";
import type { ExternalLocation } from "./external-location.js";
import type { TensorStream } from "./tensor-stream.js";
import type { TensorValue } from "./tensor-value.js";

/** A tensor outside the model file: its bytes are no longer in memory. */
export interface StoredTensor {
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly location: ExternalLocation;
}

/** Takes the weights of a graph while it is built. */
export interface WeightStore {
  /** Keeps the tensor outside the model file and says where, or returns `undefined` to have it inside. */
  store(name: string, value: TensorValue): ExternalLocation | undefined;
  /**
   * Keeps a tensor that is made while it is written, or returns `undefined` where it is small enough for `store`. Stores
   * that keep bytes in memory do not have it.
   */
  stream?(name: string, value: TensorStream): ExternalLocation | undefined;
  /** The tensor that another graph has under this name, outside or inside of it, where several graphs share their weights. */
  find?(name: string): StoredTensor | TensorValue | undefined;
}

/** A tensor of this size or less stays in the model file: its location entry would be about as long. */
export const INLINE_BYTES = 256;

/** Keeps every weight inside the model file; right for small graphs (protobuf ends at 2 GiB). */
export const inlineWeights: WeightStore = { store: () => undefined };

/**
 * Lets several graphs share the weights of one store: what one graph has stored under a name is the tensor of that name in
 * every other. Graphs that are built side by side, a block at a time, need each tensor in memory only once.
 */
export function sharedWeights(store: WeightStore): WeightStore {
  const stored = new Map<string, StoredTensor>();
  const keep = (name: string, { type, dims }: TensorStream | TensorValue, location?: ExternalLocation) => {
    if (location !== undefined) stored.set(name, { type, dims, location });
    return location;
  };
  return {
    store: (name, value) => keep(name, value, store.store(name, value)),
    ...(store.stream && { stream: (name, value) => keep(name, value, store.stream?.(name, value)) }),
    find: (name) => stored.get(name),
  };
}

/** External data that lives in memory, as ONNX Runtime's `externalData` session option takes it. */
export interface MemoryWeights extends WeightStore {
  readonly externalData: readonly { readonly path: string; readonly data: Uint8Array }[];
}

/** Hands weights to a session without copying them into the model: each is an external file of its own, in memory. */
export function memoryWeights(): MemoryWeights {
  const externalData: { path: string; data: Uint8Array }[] = [];
  return {
    externalData,
    store(_name, { bytes }) {
      if (bytes.byteLength <= INLINE_BYTES) return undefined;
      const path = `weight-${externalData.length}`;
      externalData.push({ path, data: bytes });
      return { path, offset: 0, byteLength: bytes.byteLength };
    },
  };
}
