import type { Session, TensorInfo } from "./port.js";
import { RuntimeError } from "./runtime-error.js";

/** The keys or the values of one layer in the cache: a tensor `[1, heads, T, size]` for `T` cached tokens. */
export interface CacheSlot {
  /** Name of the graph's input. */
  readonly past: string;
  /** Name of the graph's output. */
  readonly present: string;
  readonly type: "float32" | "float16";
  readonly heads: number;
  /** Numbers per head and token. */
  readonly size: number;
}

/** The cache of one layer. Keys and values may differ in everything. */
export interface LayerCache {
  readonly key: CacheSlot;
  readonly value: CacheSlot;
}

/** The KV cache that a decoder graph declares. */
export interface CacheLayout {
  readonly layers: readonly LayerCache[];
  /** Whether the graph can write the present cache into the memory of the past one. */
  readonly inPlace: boolean;
}

/** How kvfold names dimension 2 of pasts and presents that may share their memory. */
const IN_PLACE_DIMENSION = "cache_length";
const PAST_NAME = /^past_key_values\.(\d+)\.(key|value)$/;

/**
 * Reads the KV cache from a model's declared inputs `past_key_values.N.key|value` `[B, heads, T, size]` and outputs
 * `present.N.key|value`. Heads and sizes may differ between layers, and between keys and values.
 *
 * The graph says by the name of dimension 2 how its attention writes: `cache_length` on pasts and presents alike means that
 * both may be one buffer (GroupQueryAttention); any other name that the present is a new tensor.
 *
 * @throws {RuntimeError} `unsupported-model` when a name is missing or heads or sizes are not static numbers.
 */
export function readCacheLayout({ inputs, outputs }: Pick<Session, "inputs" | "outputs">): CacheLayout {
  const count = new Set(inputs.flatMap(({ name }) => PAST_NAME.exec(name)?.[1] ?? [])).size;
  if (count === 0) {
    throw unsupported(
      "expected inputs past_key_values.N.key and .value, found none: export the model with its cache",
    );
  }
  const layers = Array.from({ length: count }, (_, layer) => ({
    key: readSlot(inputs, outputs, `${layer}.key`),
    value: readSlot(inputs, outputs, `${layer}.value`),
  }));
  const caches = [...inputs, ...outputs].filter(({ name }) => isCacheName(name));
  return { layers, inPlace: caches.every(({ shape }) => shape[2] === IN_PLACE_DIMENSION) };
}

/** All slots of a layout, layer by layer, keys first. */
export const cacheSlots = ({ layers }: CacheLayout): readonly CacheSlot[] =>
  layers.flatMap(({ key, value }) => [key, value]);

/** Bytes of one number of a cache. */
export const elementBytes = ({ type }: Pick<CacheSlot, "type">): number => (type === "float16" ? 2 : 4);

/**
 * Bytes that one token adds to the cache, over all layers.
 *
 * @example
 * ```ts
 * import { cacheBytesPerToken, type CacheSlot } from "@kvfold/runtime";
 *
 * const slot: CacheSlot = { past: "past_key_values.0.key", present: "present.0.key", type: "float16", heads: 2, size: 64 };
 * cacheBytesPerToken({ layers: [{ key: slot, value: slot }], inPlace: true }) // => 512
 * ```
 */
export function cacheBytesPerToken(layout: CacheLayout): number {
  return cacheSlots(layout).reduce((sum, slot) => sum + slot.heads * slot.size * elementBytes(slot), 0);
}

function readSlot(inputs: readonly TensorInfo[], outputs: readonly TensorInfo[], name: string): CacheSlot {
  const past = find(inputs, `past_key_values.${name}`);
  const present = find(outputs, `present.${name}`);
  const type = past.type;
  if (type !== "float32" && type !== "float16") {
    throw unsupported(`expected a float32 or float16 cache, found ${type} in ${past.name}`);
  }
  return {
    past: past.name,
    present: present.name,
    type,
    heads: dimension(past, 1),
    size: dimension(past, 3),
  };
}

function find(infos: readonly TensorInfo[], name: string): TensorInfo {
  const info = infos.find((candidate) => candidate.name === name);
  if (info === undefined) throw unsupported(`expected ${name} beside the model's other caches, found none`);
  return info;
}

function dimension({ name, shape }: TensorInfo, axis: 1 | 3): number {
  const size = shape[axis];
  if (shape.length === 4 && typeof size === "number" && size > 0) return size;
  throw unsupported(
    `expected ${name} of shape [batch, heads, tokens, size] with numbers for heads and size, found [${shape.join(", ")}]: ` +
      "export static KV heads and head sizes",
  );
}

const isCacheName = (name: string): boolean =>
  name.startsWith("past_key_values.") || name.startsWith("present.");

const unsupported = (message: string): RuntimeError =>
  new RuntimeError("unsupported-model", `readCacheLayout: ${message}`);
