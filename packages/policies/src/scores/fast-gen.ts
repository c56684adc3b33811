import { PolicyError } from "../policy-error.js";
import { wholeShare } from "../whole-share.js";
import type { AttentionRows } from "./attention-rows.js";
import { bestIndices } from "./best-indices.js";
import { requireShares } from "./head-rows.js";

/** What FastGen asks of a token: whether it is special, such as the one that begins a text, punctuation, or other. */
export type TokenClass = "special" | "punctuation" | "other";

/** FastGen's ways to thin out a head, from the cheapest to the dearest: each keeps what the one before keeps, and more. */
export type HeadPolicy = "special" | "punctuation" | "frequent" | "local" | "full";

/** What FastGen chooses for one KV head. */
export interface HeadProfile {
  readonly policy: HeadPolicy;
  /** Share of the attention that the tokens kept by the policy were paid. */
  readonly recovered: number;
  /** Tokens that stay, ascending. */
  readonly kept: Int32Array;
}

export declare namespace profileHeads {
  interface Options {
    /** Of the prompt's tokens, all of them in the paper. The queries of the last `W` alone make a cheaper profile. */
    readonly attention: AttentionRows;
    /** `[T]` */
    readonly classes: readonly TokenClass[];
    /** Share of the attention that a policy has to recover. Default 0.95; the paper takes 0.91 to 0.98. */
    readonly recover?: number | undefined;
    /** Share of the tokens that are frequent, those that are paid most. Default 0.3, the paper's. */
    readonly frequent?: number | undefined;
    /** Share of the tokens that are local to a query, the latest. Default 0.3, the paper's. */
    readonly local?: number | undefined;
    /** First tokens that count as special. Default 4, as in cold-compress. */
    readonly sinks?: number | undefined;
  }
}

/**
 * FastGen: profiles each head by the attention of a prompt, and chooses for it the cheapest policy that recovers the share
 * `recover`: special tokens; punctuation as well; frequent tokens as well; local tokens as well; or all.
 *
 * Source: Ge et al., "Model Tells You What to Discard", arXiv 2310.01801. The paper compares attention maps, `|A - A_C| <= 1 -
 * T`; cold-compress, the one implementation that is public, takes the mean attention that is recovered, as this does. The
 * query heads of a group share a KV head, so their sums are added.
 *
 * Numerics: sums in float64. `recover: 1` is met by `full` alone where every weight is positive, up to rounding of the weights.
 *
 * @returns For each KV head.
 * @throws {PolicyError} when there is not a class for each token, or when a share is none.
 */
export function profileHeads(options: profileHeads.Options): readonly HeadProfile[] {
  const { attention, classes, recover = 0.95, frequent = 0.3, local = 0.3, sinks = 4 } = options;
  requireClasses(classes, attention.tokens);
  requireShares("profileHeads", { recover, frequent, local });
  const band = wholeShare(attention.tokens, local);
  const frequentCount = wholeShare(attention.tokens, frequent);
  return sumByHead(attention, band).map((sums) =>
    cheapest({ sums, classes, recover, frequentCount, band, sinks }),
  );
}

/** Shares of a KV head's attention, `[T]` each: all of it, and what queries paid to tokens near themselves. */
interface HeadSums {
  readonly all: Float64Array;
  readonly near: Float64Array;
}

function sumByHead(attention: AttentionRows, band: number): readonly HeadSums[] {
  const { kvHeads, heads, tokens, queries, visit } = attention;
  const share = kvHeads / (heads * queries);
  const ofHeads = Array.from({ length: kvHeads }, () => ({
    all: new Float64Array(tokens),
    near: new Float64Array(tokens),
  }));
  visit((row, head) => {
    const { all, near } = ofHeads[Math.floor((head * kvHeads) / heads)]!;
    for (let token = 0; token < row.length; token++) all[token]! += row[token]! * share;
    for (let token = Math.max(0, row.length - band); token < row.length; token++) {
      near[token]! += row[token]! * share;
    }
  });
  return ofHeads;
}

interface Candidate extends Required<Pick<profileHeads.Options, "classes">> {
  readonly sums: HeadSums;
  readonly recover: number;
  readonly frequentCount: number;
  readonly band: number;
  readonly sinks: number;
}

function cheapest({ sums, classes, recover, frequentCount, band, sinks }: Candidate): HeadProfile {
  const tokens = classes.length;
  const isKept = Uint8Array.from(classes, (kind, token) => (kind === "special" || token < sinks ? 1 : 0));
  const profile = (policy: HeadPolicy, recovered: number): HeadProfile => ({
    policy,
    recovered,
    kept: placesOf(isKept),
  });
  const sumKept = () => sums.all.reduce((sum, weight, token) => sum + weight * isKept[token]!, 0);
  if (sumKept() >= recover) return profile("special", sumKept());
  for (let token = 0; token < tokens; token++) if (classes[token] === "punctuation") isKept[token] = 1;
  if (sumKept() >= recover) return profile("punctuation", sumKept());
  for (const token of mostFrequent(sums.all, isKept, frequentCount)) isKept[token] = 1;
  if (sumKept() >= recover) return profile("frequent", sumKept());
  const withLocal = sums.near.reduce((sum, weight, token) => sum + weight * (1 - isKept[token]!), sumKept());
  const policy = withLocal >= recover ? "local" : "full";
  isKept.fill(1, policy === "full" ? 0 : tokens - band);
  return profile(policy, policy === "full" ? sumKept() : withLocal);
}

/** The tokens that were paid most, of those that are not kept already. */
function mostFrequent(sums: Float64Array, isKept: Uint8Array, count: number): Int32Array {
  const scores = Float32Array.from(sums, (sum, token) =>
    isKept[token] === 1 ? Number.NEGATIVE_INFINITY : sum,
  );
  const others = isKept.length - placesOf(isKept).length;
  return bestIndices(scores, Math.min(count, others));
}

const placesOf = (isKept: Uint8Array): Int32Array =>
  Int32Array.from(Array.from(isKept.keys()).filter((token) => isKept[token] === 1));

function requireClasses(classes: readonly TokenClass[], tokens: number): void {
  if (classes.length === tokens) return;
  throw new PolicyError(
    `profileHeads: expected a class for each of ${tokens} tokens, found ${classes.length}`,
  );
}
