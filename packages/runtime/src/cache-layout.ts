import type { CachePrecision } from "@kvfold/policies/check";
import { cachePrecisions } from "./cache-coding.js";
import type { Session, TensorInfo } from "./port.js";
import { RuntimeError } from "./runtime-error.js";

/** A tensor of a layer's cache, `[1, heads, T, size]` for `T` cached tokens. */
export interface CacheTensor {
  /** Name of the graph's input. */
  readonly past: string;
  /** Name of the graph's output. */
  readonly present: string;
  /** Bytes hold quantised numbers, one or two each. */
  readonly type: "float32" | "float16" | "uint8";
  readonly heads: number;
  /** Elements per head and token. */
  readonly size: number;
}

/** The keys or the values of one layer in the cache. */
export interface CacheSlot extends CacheTensor {
  /** In a quantised cache, what the bytes mean. */
  readonly quantised?: QuantisedSlot;
}

/** How a slot of bytes holds numbers (`quantised-rows.ts`). */
export interface QuantisedSlot {
  readonly precision: CachePrecision;
  /** float16 `[1, heads, T, 1]`: the scale of each row. */
  readonly scales: CacheTensor;
}

/** What a layer's cache holds: keys and values, or latents that stand for both. */
export type CachePart = "key" | "value" | "latent";

/** The cache of one layer: a key and a value, which may differ in everything, or a latent. */
export type LayerCache = Readonly<Partial<Record<CachePart, CacheSlot>>>;

/**
 * How a graph and its cache meet:
 *
 * - `in-place`: the present may be written into the memory of the past;
 * - `growing`: the present is a new tensor, the past and the new tokens;
 * - `delta`: the graph reads a past that the runtime owns, and gives the rows of the new tokens alone;
 * - `ragged`: the same, and layers and heads may keep different tokens.
 */
export type CacheKind = "in-place" | "growing" | "delta" | "ragged";

/** The KV cache that a decoder graph declares. */
export interface CacheLayout {
  readonly layers: readonly LayerCache[];
  readonly kind: CacheKind;
  /** The past has a multiple of this many slots; 1 unless the graph says otherwise. */
  readonly slotMultiple: number;
  /** Inputs beside pasts that the cache fills. */
  readonly indexInputs: readonly IndexInput[];
  /** Whether attention to many new tokens bounds its own scores, so that long chunks of a prompt take no more memory for them. */
  readonly attendsInBlocks?: boolean;
  /** What each layer has besides, where layers and heads may keep different tokens. */
  readonly ragged?: readonly RaggedLayer[] | undefined;
}

/** A layer whose heads keep tokens of their own. */
export interface RaggedLayer {
  /** Name of the input with the positions of the past, `[B, heads, P]`. */
  readonly positions: string;
  /** Heads with tokens of their own; a number that divides those of keys and of values. */
  readonly heads: number;
  /** Slots that can only go together, counted from the first; 1 where each may go alone. */
  readonly run: number;
  /** Names of the outputs with the last queries `[B, H, W, size]` and their attention `[B, H, W, P + S]`. */
  readonly queries: string | undefined;
  readonly attention: string | undefined;
  /** Name of the output with the sums of attention over queries, `[B, H, P + S]`. */
  readonly attentionSums: string | undefined;
  /** `H`, where attention is given out. */
  readonly queryHeads: number | undefined;
}

/** Positions of the past's slots, -1 for empty ones, and the number of slots in use. */
export type IndexInput = "past_positions" | "past_length";
const INDEX_INPUTS: readonly IndexInput[] = ["past_positions", "past_length"];

/** How kvfold names dimension 2 of pasts and presents that may share their memory. */
const IN_PLACE_DIMENSION = "cache_length";
/** How it names dimension 2 of pasts that have empty slots, up to a multiple. */
const SLOTS_DIMENSION = /^past_slots_([1-9]\d*)(?:\.\d+)?$/;
/** How it names dimension 2 of new rows whose layer attends to a block of them at a time. */
const BLOCKS_DIMENSION = "sequence_length_in_blocks";
const PAST_NAME = /^past_key_values\.(\d+)\.(key|value|latent)$/;
/** Names of the outputs with present rows, and of those with new rows alone. */
const PRESENT = { whole: "present", delta: "new_key_values" };

/**
 * Reads the KV cache from a model's declared inputs `past_key_values.N.key|value` `[B, heads, T, size]` and outputs
 * `present.N.key|value`. Heads and sizes may differ between layers, and between keys and values.
 *
 * The graph says by the name of dimension 2 how its attention writes: `cache_length` on pasts and presents alike means that
 * both may be one buffer (GroupQueryAttention); any other name that the present is a new tensor. A graph with an input
 * `past_positions` is a delta decoder: its outputs `new_key_values.N.key|value|latent` are the rows of new tokens. One with
 * `past_positions.N` is a policy graph, whose outputs are the same. Dimension 2 of these outputs is
 * `sequence_length_in_blocks` in layers that bound their scores. In policy graphs caches of bytes have scales under the same names
 * with `_int8_scale` or `_int4_scale` after them.
 *
 * @throws {RuntimeError} `unsupported-model` when a name is missing or heads or sizes are not static numbers.
 */
export function readCacheLayout({ inputs, outputs }: Pick<Session, "inputs" | "outputs">): CacheLayout {
  const pasts = inputs.flatMap(({ name }) => {
    const [, layer, part] = PAST_NAME.exec(name) ?? [];
    return layer === undefined ? [] : [{ layer: Number(layer), part: part as CachePart }];
  });
  const count = new Set(pasts.map(({ layer }) => layer)).size;
  if (count === 0) {
    throw unsupported(
      "expected inputs past_key_values.N.key and .value, found none: export the model with its cache",
    );
  }
  const indexInputs = INDEX_INPUTS.filter((index) => inputs.some(({ name }) => name === index));
  const isDelta = indexInputs.includes("past_positions");
  const isRagged = inputs.some(({ name }) => name === raggedInput(0));
  const present = isDelta || isRagged ? PRESENT.delta : PRESENT.whole;
  const readLayer = (layer: number): LayerCache => {
    const hasLatent = pasts.some((past) => past.layer === layer && past.part === "latent");
    const parts: readonly CachePart[] = hasLatent ? ["latent"] : ["key", "value"];
    return Object.fromEntries(
      parts.map((part) => [part, readSlot(inputs, outputs, `${layer}.${part}`, present)]),
    );
  };
  const layers = Array.from({ length: count }, (_, layer) => readLayer(layer));
  const lengths = [...inputs, ...outputs]
    .filter(({ name }) => isCacheName(name))
    .map(({ shape }) => shape[2]);
  const isInPlace = lengths.every((length) => length === IN_PLACE_DIMENSION);
  const slotMultiple = Number(
    lengths.map((length) => SLOTS_DIMENSION.exec(String(length))?.[1]).find(Boolean) ?? 1,
  );
  const added = outputs.filter(({ name }) => name.startsWith(`${PRESENT.delta}.`));
  const attendsInBlocks = added.length > 0 && added.every(({ shape }) => shape[2] === BLOCKS_DIMENSION);
  const layout = { layers, slotMultiple, indexInputs, attendsInBlocks };
  const bytes = isRagged ? undefined : cacheSlots(layout).find(({ type }) => type === "uint8");
  if (bytes !== undefined) throw notFloats(bytes.type, bytes.past);
  if (isRagged) {
    const hasChunks = indexInputs.includes("past_length");
    const ragged = layers.map(({ latent }, layer) =>
      readRagged(inputs, outputs, layer, hasChunks && latent !== undefined ? slotMultiple : 1),
    );
    return { ...layout, kind: "ragged", ragged };
  }
  return { ...layout, kind: isDelta ? "delta" : isInPlace ? "in-place" : "growing" };
}

const raggedInput = (layer: number): string => `past_positions.${layer}`;

function readRagged(
  inputs: readonly TensorInfo[],
  outputs: readonly TensorInfo[],
  layer: number,
  run: number,
): RaggedLayer {
  const { name: positions, shape } = find(inputs, raggedInput(layer));
  const output = (name: string) => outputs.find((candidate) => candidate.name === `${name}.${layer}`);
  const [, heads] = shape;
  if (typeof heads !== "number" || shape.length !== 3)
    throw unsupported(`expected ${positions} of shape [batch, heads, slots], found [${shape.join(", ")}]`);
  const attention = output("attention");
  const queryHeads = attention?.shape[1];
  return {
    positions,
    heads,
    run,
    queries: output("queries")?.name,
    attention: attention?.name,
    attentionSums: output("attention_sums")?.name,
    queryHeads: typeof queryHeads === "number" ? queryHeads : undefined,
  };
}

/** Inputs of a graph that a cache fills besides its pasts. */
export const cacheInputs = ({ indexInputs, ragged = [] }: CacheLayout): readonly string[] => [
  ...indexInputs,
  ...ragged.map(({ positions }) => positions),
  ...OBSERVATIONS.map(observedInput),
];

/** What graphs may give out of the last new tokens. */
export const OBSERVATIONS = ["queries", "attention", "attentionSums"] as const;
export type Observation = (typeof OBSERVATIONS)[number];

/** The input that says of how many of them. */
export const observedInput = (what: Observation): string => OBSERVED_INPUTS[what];
const OBSERVED_INPUTS: Readonly<Record<Observation, string>> = {
  queries: "observed_queries",
  attention: "observed_attention",
  attentionSums: "observed_attention_sums",
};

/** All tensors of a layout, layer by layer, keys first, scales after what they belong to. */
export const cacheSlots = ({ layers }: Pick<CacheLayout, "layers">): readonly CacheTensor[] =>
  layers.flatMap((layer) =>
    Object.values(layer).flatMap((slot) => (slot.quantised ? [slot, slot.quantised.scales] : [slot])),
  );

/** The same of a graph whose cache is of floats, as all are but policy graphs (`readCacheLayout`). */
export const floatSlots = (layout: Pick<CacheLayout, "layers">): readonly FloatSlot[] =>
  cacheSlots(layout).filter((slot): slot is FloatSlot => slot.type !== "uint8");

/** A tensor of a cache of floats. */
export interface FloatSlot extends CacheTensor {
  readonly type: "float32" | "float16";
}

const BYTES = { float32: 4, float16: 2, uint8: 1 } as const;

/** Bytes of one element of a cache. */
export const elementBytes = ({ type }: Pick<CacheTensor, "type">): number => BYTES[type];

/**
 * What a layout's cache counts as being kept in; nothing where it is of floats. A head of an odd size has a byte for each
 * number in either precision, so a graph of such heads alone is that of both.
 */
export function precisionsOf({ layers }: Pick<CacheLayout, "layers">): readonly CachePrecision[] {
  const slots = layers.flatMap((layer) => Object.values(layer)).filter(({ quantised }) => quantised);
  if (slots.length === 0) return [];
  if (slots.some(({ quantised }) => quantised!.precision === "int4")) return ["int4"];
  return slots.every(({ size }) => size % 2 === 1) ? ["int8", "int4"] : ["int8"];
}

/**
 * Bytes that one token adds to the cache, over all layers.
 *
 * @example
 * ```ts
 * import { cacheBytesPerToken, type CacheSlot } from "@kvfold/runtime";
 *
 * const slot: CacheSlot = { past: "past_key_values.0.key", present: "present.0.key", type: "float16", heads: 2, size: 64 };
 * cacheBytesPerToken({ layers: [{ key: slot, value: slot }], kind: "in-place", slotMultiple: 1, indexInputs: [] }) // => 512
 * ```
 */
export function cacheBytesPerToken(layout: CacheLayout): number {
  return slotBytesPerToken(cacheSlots(layout));
}

/** The same of some slots. */
export const slotBytesPerToken = (slots: readonly CacheTensor[]): number =>
  slots.reduce((sum, slot) => sum + slot.heads * slot.size * elementBytes(slot), 0);

function readSlot(
  inputs: readonly TensorInfo[],
  outputs: readonly TensorInfo[],
  name: string,
  prefix: string,
): CacheSlot {
  const slot = readTensor(inputs, outputs, name, prefix);
  if (slot.type !== "uint8") return slot;
  const precision = cachePrecisions.find((candidate) =>
    inputs.some((input) => input.name === `${slot.past}_${candidate}_scale`),
  );
  if (precision === undefined) throw notFloats("uint8 without scales", slot.past);
  const scales = readTensor(inputs, outputs, `${name}_${precision}_scale`, prefix);
  return { ...slot, quantised: { precision, scales } };
}

function readTensor(
  inputs: readonly TensorInfo[],
  outputs: readonly TensorInfo[],
  name: string,
  prefix: string,
): CacheTensor {
  const past = find(inputs, `past_key_values.${name}`);
  const present = find(outputs, `${prefix}.${name}`);
  const type = past.type;
  if (!isCacheType(type)) throw notFloats(type, past.name);
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

const isCacheType = (type: string): type is CacheTensor["type"] => Object.hasOwn(BYTES, type);

const isCacheName = (name: string): boolean =>
  name.startsWith("past_key_values.") || name.startsWith("present.");

const notFloats = (found: string, name: string): RuntimeError =>
  unsupported(`expected a float32 or float16 cache, found ${found} in ${name}`);

const unsupported = (message: string): RuntimeError =>
  new RuntimeError("unsupported-model", `readCacheLayout: ${message}`);
