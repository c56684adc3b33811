import type { HeadView } from "./cache-view.js";
import { PolicyError } from "./policy-error.js";

/** Attention rows of a head and their numbers. */
export interface WindowAttention {
  /** `[queryHeads, rows, tokens]`. */
  readonly attention: Float32Array;
  readonly queryHeads: number;
  readonly rows: number;
}

/** @throws {PolicyError} for a head that has none. */
export function attentionOf({ attention, tokens, queryHeads }: HeadView, policy: string): WindowAttention {
  if (attention === undefined)
    throw new PolicyError(`${policy}: expected attention of the last tokens, found none`);
  return { attention, queryHeads, rows: attention.length / (queryHeads * tokens) };
}
