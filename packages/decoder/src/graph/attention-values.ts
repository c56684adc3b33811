import type { CacheCoding } from "@kvfold/runtime";
import type { Emitter } from "./emitter.js";
import type { AttentionKind, Positions } from "./positions.js";

/** What a layer's cache holds: keys and values, or latents that stand for both. */
export type CachePart = "key" | "value" | "latent";

/** Names of a block's cache in a graph; absent in graphs that run whole windows. */
export interface CacheNames {
  /** Input with the rows of earlier tokens. */
  past(tensor: string): string;
  /** Output with the rows of earlier and new tokens, or of new ones alone, as the graph's form says. */
  present(tensor: string): string;
  /** How the cache is quantised, in graphs whose form says so. */
  readonly coding?: CacheCoding | undefined;
}

/**
 * How a graph attends: as its stored cache allows, or to past and new rows apart, where all heads keep the same tokens
 * (`emit-delta-attention.ts`) or each its own (`emit-ragged-attention.ts`).
 */
export type AttentionForm = AttentionKind | "delta" | "ragged";

/**
 * What attention starts from, each `[B, S, width]`: after norms and rotation, before any basis that follows them. Where
 * keys are cached before the rotation, both kinds of keys are the latents `keys.heads * keys.size`.
 */
export interface ProjectionValues {
  /** `H * d` (or `H * keys.size` where keys are folded into the weights). */
  readonly queries: string;
  /** Queries as they enter the rotation: normalised where their norm comes first. */
  readonly queriesBeforeRope: string;
  readonly keys: string;
  /** Keys as they enter the rotation: normalised where their norm comes first. */
  readonly keysBeforeRope: string;
  readonly values: string;
}

/** Values inside an attention layer that calibration may want to see. */
export interface AttentionValues extends ProjectionValues {
  /** What `output` reads: `H * values.size`. */
  readonly headOutputs: string;
  readonly output: string;
}

/** What attention emission needs besides the weights. */
export interface AttentionContext {
  readonly kind: AttentionForm;
  readonly positions: Positions;
  readonly cache: CacheNames | undefined;
  /** Gives out what the last queries look like and attend to; absent in graphs without such outputs. */
  readonly observe?: Observe | undefined;
  /** Runs of queries to attend with one after the other, where a whole window of known length is run at once. */
  readonly queryBlocks?: readonly QueryBlock[] | undefined;
}

/** What a cache policy may see of a layer. */
export type Observation = "queries" | "attention" | "attention_sums";

/** Makes the last rows of `value [B, heads, S, size]` an output of the graph, or their sum: as many as a run asks for. */
export type Observe = (e: Emitter, observation: Observation, value: string) => void;

/** Queries `[start, end)` of a window. */
export interface QueryBlock {
  readonly start: number;
  readonly end: number;
}

/** Queries, keys and values as attention reads them: `[B, S, heads * size]` each. */
export interface Projected {
  readonly query: string;
  readonly key: string;
  readonly value: string;
}
