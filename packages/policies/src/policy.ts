import type { LayerView } from "./cache-view.js";

/** What a policy looks at besides keys, values and positions. A decoder computes nothing that no policy asks for. */
export interface PolicyNeeds {
  /** Queries of so many of the last tokens; none unless given. */
  readonly queries?: number;
  /** Attention of so many of the last tokens; none unless given. */
  readonly attention?: number;
}

/** What becomes of one head: the tokens that stay, and rows that take the place of theirs. */
export interface HeadChange {
  /** Indices of the tokens that stay, ascending, each once. */
  readonly kept: Int32Array;
  /** `[kept, keySize]` in place of the keys of these tokens, for policies that merge tokens or clear channels. */
  readonly keys?: Float32Array | undefined;
  /** `[kept, valueSize]`, likewise. */
  readonly values?: Float32Array | undefined;
}

/** What becomes of a layer, head by head; nothing changes where it is absent. */
export type LayerChange = readonly (HeadChange | undefined)[] | undefined;

/**
 * What a policy does to a cache: drop tokens, put the tokens that stay in place of those that go, or clear channels of keys.
 * Two policies that do the same at the same time are refused.
 */
export type PolicyAction = "drop" | "merge" | "clear-channels";

/** Decides layer by layer what a cache keeps of one prompt. It holds no state of its own. */
export interface Policy {
  /** As it is written in a list of policies, its options included: `keydiff:0.5`. */
  readonly name: string;
  readonly action: PolicyAction;
  readonly needs?: PolicyNeeds;
  /** Called once a prompt is read, or another turn of a conversation. */
  readonly afterPrefill?: (layer: LayerView) => LayerChange;
  /** Called after each token that is decoded. */
  readonly afterStep?: (layer: LayerView) => LayerChange;
}

/** How important each token of each head is: `[T]` for every head, larger for what should stay. */
export type Scorer = (layer: LayerView) => readonly Float32Array[];

/** Tokens that each head of a layer keeps. */
export type LayerBudget = (layer: LayerView) => number;
