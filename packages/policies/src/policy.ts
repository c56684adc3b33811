import type { LayerView } from "./cache-view.js";

/** What a policy looks at besides keys, values and positions. A decoder computes nothing that no policy asks for. */
export interface PolicyNeeds {
  /** Queries of so many of the last tokens; none unless given. */
  readonly queries?: number;
  /** Attention of so many of the last tokens; none unless given. */
  readonly attention?: number;
  /** Sums of the attention of so many of the last tokens, or of more where they follow one another; none unless given. */
  readonly attentionSums?: number;
}

/** How many queries a policy needs that looks at those of a whole prompt. */
export const ALL_TOKENS: number = 2 ** 31 - 1;

/** What becomes of one head: the tokens that stay, or those that go. */
export type HeadChange = KeptTokens | DroppedTokens;

/** The tokens of a head that stay, and rows that take the place of theirs. */
export interface KeptTokens {
  /** Indices of the tokens that stay, ascending, each once. */
  readonly kept: Int32Array;
  readonly dropped?: undefined;
  /** `[kept, keySize]` in place of the keys of these tokens, for policies that merge tokens or clear channels. */
  readonly keys?: Float32Array | undefined;
  /** `[kept, valueSize]`, likewise. */
  readonly values?: Float32Array | undefined;
}

/**
 * The tokens of a head that go. A cache checks and removes few of them without listing those that stay, for which a step has no
 * time.
 */
export interface DroppedTokens {
  /** Indices of the tokens that go, ascending, each once. */
  readonly dropped: Int32Array;
  readonly kept?: undefined;
  readonly keys?: undefined;
  readonly values?: undefined;
}

/** What becomes of a layer, head by head; nothing changes where it is absent. */
export type LayerChange = readonly (HeadChange | undefined)[] | undefined;

/**
 * What a policy does to a cache: drop tokens, put the tokens that stay in place of those that go, clear channels of keys, or
 * round numbers to fewer bits.
 * Two policies that do the same at the same time are refused.
 */
export type PolicyAction = "drop" | "merge" | "clear-channels" | "quantise";

/** Bits that each number of a quantised cache has: 8 or 4. */
export type CachePrecision = "int8" | "int4";

/**
 * Decides layer by layer what a cache keeps of one prompt. Policies hold no state, unless they have `begin`. They are shown the
 * heads that hold tokens.
 */
export interface Policy {
  /** As it is written in a list of policies, its options included: `keydiff:0.5`. */
  readonly name: string;
  readonly action: PolicyAction;
  readonly needs?: PolicyNeeds;
  /** Asks for a cache of fewer bits, which only a graph that was written for it has. Such a policy changes nothing itself. */
  readonly stores?: CachePrecision;
  /**
   * Makes a policy of the same kind for one cache, which remembers what it saw of it. A runtime calls this once for every cache
   * and each time one is cleared, and uses the result in place of this policy.
   */
  readonly begin?: () => Policy;
  /** Called once a prompt is read, or another turn of a conversation. */
  readonly afterPrefill?: (layer: LayerView) => LayerChange;
  /** Called after each token that is decoded. */
  readonly afterStep?: (layer: LayerView) => LayerChange;
}

/** How important each token of each head is: `[T]` for every head, larger for what should stay. */
export type Scorer = (layer: LayerView) => readonly Float32Array[];

/** Tokens that each head of a layer keeps. */
export type LayerBudget = (layer: LayerView) => number;
