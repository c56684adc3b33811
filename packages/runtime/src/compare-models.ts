import { throwIfAborted } from "./abort-signal.js";
import type { CausalLM } from "./causal-lm.js";
import type { DecodingState } from "./decoding-state.js";
import { type Logits, logitsRow } from "./logits.js";
import { RuntimeError } from "./runtime-error.js";
import { argmax } from "./sampling.js";
import {
  checkLoss,
  chunksOf,
  readWindow,
  rowsAtATime,
  type Windows,
  type windowLosses,
} from "./window-losses.js";

/** How two models predict the tokens of one window of `n + 1`: arrays `[n]`, entry `i` about token `i + 1`. */
export interface WindowComparison {
  /** Negative log likelihoods of the model, in nats, as `windowLosses` gives them. */
  readonly losses: Float64Array;
  /** Those of the reference. */
  readonly referenceLosses: Float64Array;
  /** `KL(reference || model)` of the two distributions over the vocabulary, in nats. */
  readonly divergences: Float64Array;
  /** 1 where the models' first choices differ, else 0. */
  readonly changes: Float64Array;
}

/**
 * Runs two models side by side over the same windows, a bounded number of logits at a time.
 *
 * Numerics: as `windowLosses`. Divergences are summed in float64; what rounding leaves below 0 is 0. Of equal logits the
 * first choice is the one of lowest id. A token that the model excludes (minus infinity) and the reference does not makes the
 * divergence infinite.
 *
 * @throws {RuntimeError} As `windowLosses`; `invalid-argument` when the vocabularies differ in size.
 */
export async function* compareModels(
  reference: CausalLM,
  model: CausalLM,
  windows: Windows,
  { firstPosition, signal }: windowLosses.Options = {},
): AsyncGenerator<WindowComparison> {
  const states = [reference.createState({ firstPosition }), model.createState({ firstPosition })] as const;
  const rows = Math.min(rowsAtATime(reference, 2), rowsAtATime(model, 2));
  try {
    for (const window of windows) {
      const tokens = readWindow(window);
      const comparison = emptyComparison(tokens.length - 1);
      for (const state of states) state.clear();
      for (const { start, end } of chunksOf(0, tokens.length - 1, rows)) {
        throwIfAborted(signal);
        const logits = await forwardBoth(states, tokens.slice(start, end));
        compareRows(logits, tokens.slice(start + 1, end + 1), start, comparison);
      }
      yield comparison;
    }
  } finally {
    for (const state of states) state.dispose();
  }
}

const emptyComparison = (count: number): WindowComparison => ({
  losses: new Float64Array(count),
  referenceLosses: new Float64Array(count),
  divergences: new Float64Array(count),
  changes: new Float64Array(count),
});

type Pair<T> = readonly [reference: T, model: T];

/** One after the other: both use all cores. */
async function forwardBoth(
  [reference, model]: Pair<DecodingState>,
  ids: readonly number[],
): Promise<Pair<Logits>> {
  const expected = await reference.forward(ids);
  const found = await model.forward(ids);
  if (expected.columns === found.columns) return [expected, found];
  throw new RuntimeError(
    "invalid-argument",
    `compareModels: expected models of one vocabulary, found ${expected.columns} and ${found.columns} tokens`,
  );
}

/** Writes the figures of a chunk's rows from index `start` on. */
function compareRows(
  [reference, model]: Pair<Logits>,
  targets: readonly number[],
  start: number,
  { losses, referenceLosses, divergences, changes }: WindowComparison,
): void {
  for (const [row, target] of targets.entries()) {
    const expected = logitsRow(reference, row);
    const found = logitsRow(model, row);
    const { referenceSum, modelSum, divergence } = compareDistributions(expected, found);
    const index = start + row;
    referenceLosses[index] = checkLoss(referenceSum - expected[target]!);
    losses[index] = checkLoss(modelSum - found[target]!);
    divergences[index] = divergence;
    changes[index] = argmax(expected) === argmax(found) ? 0 : 1;
  }
}

/**
 * Log-sum-exps `A` and `B` of two rows `a` and `b`, and `Σ exp(a - A) ((a - A) - (b - B))`, which is
 * `Σ exp(a - A) (a - b) + B - A`, in one pass.
 */
function compareDistributions(a: Float32Array, b: Float32Array) {
  const [topA, topB] = [largest(a), largest(b)];
  let sumA = 0;
  let sumB = 0;
  let weighted = 0;
  for (let i = 0; i < a.length; i++) {
    const share = Math.exp(a[i]! - topA);
    sumA += share;
    sumB += Math.exp(b[i]! - topB);
    // Where both exclude a token their difference would be NaN; it counts for nothing.
    if (share > 0) weighted += share * (a[i]! - b[i]!);
  }
  const referenceSum = topA + Math.log(sumA);
  const modelSum = topB + Math.log(sumB);
  const divergence = weighted / sumA + modelSum - referenceSum;
  return { referenceSum, modelSum, divergence: Math.max(0, divergence) };
}

function largest(row: Float32Array): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of row) most = Math.max(most, value);
  return most;
}
