import { type AbortSignalLike, throwIfAborted } from "./abort-signal.js";
import type { CausalLM } from "./causal-lm.js";
import type { CopySource } from "./copy-probe-source.js";
import type { DecodingState } from "./decoding-state.js";
import { logitsRow, logSumExp } from "./logits.js";
import { createRandom, type Random } from "./random.js";
import { RuntimeError } from "./runtime-error.js";
import { argmax } from "./sampling.js";

/** How well tokens are predicted. */
export interface TokenScore {
  /** Mean negative log likelihood, in nats. */
  readonly nll: number;
  /** Share that is the model's first choice, 0 to 1. */
  readonly accuracy: number;
}

/** How well a model copies tokens that it saw `distance` tokens ago. */
export interface CopyScore extends TokenScore {
  /** Tokens from the first occurrence of a token to its second. */
  readonly distance: number;
  /** The same tokens at the same place with others instead of the first occurrence: what is predicted without copying. */
  readonly control: TokenScore;
  /** `control.nll - nll`: what the first occurrence is worth, in nats a token. */
  readonly gain: number;
  /** Standard error of `gain`, from its spread between sequences; undefined for a single one. */
  readonly gainError: number | undefined;
  /** Tokens that were predicted. */
  readonly tokens: number;
}

export declare namespace copyProbe {
  interface Options {
    /** Draws what is repeated, and what stands between. */
    readonly source: CopySource;
    /** Distances to measure, each at least `length`. */
    readonly distances?: readonly number[] | undefined;
    /** Tokens that are repeated. */
    readonly length?: number | undefined;
    /** Sequences for each distance. */
    readonly sequences?: number | undefined;
    readonly seed?: number | undefined;
    /** The token that begins every sequence, for models that know one. */
    readonly bosToken?: number | undefined;
    readonly onSequence?: ((done: number, total: number) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

/**
 * Tells what perplexity hides: whether a model still finds and copies what stands in its context. A sequence is a
 * stretch of `length` tokens, a gap, and the stretch again, `distance` tokens after its beginning. Scored are the
 * tokens of the second occurrence but for its first, which nothing announces. The control is the same sequence with
 * another stretch in front: positions, gap and scored tokens are equal, so that the difference is copying alone.
 *
 * The stretches are the same at all distances, and depend on the options alone: models are measured on the same ones.
 *
 * Numerics: as `perplexity`. Standard errors take sequences as independent.
 *
 * @throws {RuntimeError} `invalid-argument` for a distance below `length`; `too-many-positions` when a sequence is
 *   longer than the model's context; `invalid-logits` when the model computes NaN; `aborted` when `signal` fires.
 */
export async function copyProbe(
  model: CausalLM,
  {
    source,
    distances = [32, 64, 128, 256, 512],
    length = 32,
    sequences = 16,
    seed = 0,
    bosToken,
    onSequence,
    signal,
  }: copyProbe.Options,
): Promise<readonly CopyScore[]> {
  requireRoom(distances, length);
  const random = createRandom(seed);
  const lead = bosToken === undefined ? [] : [bosToken];
  const longestGap = Math.max(...distances) - length;
  const pairs: StretchPair[][] = distances.map(() => []);
  const state = model.createState();
  try {
    for (let sequence = 0; sequence < sequences; sequence++) {
      const { stretch, other, gap } = drawSequence(source, length, longestGap, random);
      for (const [index, distance] of distances.entries()) {
        throwIfAborted(signal);
        const near = gap.subarray(longestGap - (distance - length));
        pairs[index]!.push({
          repeated: await scoreStretch(state, [...lead, ...stretch, ...near], stretch),
          control: await scoreStretch(state, [...lead, ...other, ...near], stretch),
        });
        onSequence?.(sequence * distances.length + index + 1, sequences * distances.length);
      }
    }
  } finally {
    state.dispose();
  }
  return distances.map((distance, index) => summarise(distance, pairs[index]!, length - 1));
}

/** Sums over the scored tokens of a stretch. */
interface StretchSums {
  readonly nll: number;
  readonly hits: number;
}

interface StretchPair {
  readonly repeated: StretchSums;
  readonly control: StretchSums;
}

function requireRoom(distances: readonly number[], length: number): void {
  const near = distances.find((distance) => !(length >= 2 && distance >= length));
  if (near === undefined) return;
  throw new RuntimeError(
    "invalid-argument",
    `copyProbe: a distance must be at least the length of what is repeated (${length}, itself 2 or more), found ${near}`,
  );
}

const drawSequence = (source: CopySource, length: number, gap: number, random: Random) => ({
  stretch: source(length, random),
  other: source(length, random),
  gap: source(gap, random),
});

/** Scores `stretch` after `context`; row `i` of its logits predicts its token `i + 1`. */
async function scoreStretch(
  state: DecodingState,
  context: readonly number[],
  stretch: Int32Array,
): Promise<StretchSums> {
  state.clear();
  await state.prefill(context);
  const logits = await state.forward(stretch.subarray(0, -1));
  let nll = 0;
  let hits = 0;
  for (const [index, expected] of stretch.subarray(1).entries()) {
    const row = logitsRow(logits, index);
    nll += logSumExp(row) - row[expected]!;
    hits += argmax(row) === expected ? 1 : 0;
  }
  if (Number.isNaN(nll)) {
    throw new RuntimeError(
      "invalid-logits",
      "copyProbe: expected finite logits over the vocabulary, found NaN, or a token beyond the vocabulary",
    );
  }
  return { nll, hits };
}

function summarise(distance: number, pairs: readonly StretchPair[], tokensEach: number): CopyScore {
  const tokens = pairs.length * tokensEach;
  const score = (which: keyof StretchPair): TokenScore => ({
    nll: sum(pairs.map((pair) => pair[which].nll)) / tokens,
    accuracy: sum(pairs.map((pair) => pair[which].hits)) / tokens,
  });
  const repeated = score("repeated");
  const control = score("control");
  const gains = pairs.map((pair) => (pair.control.nll - pair.repeated.nll) / tokensEach);
  const gainError = standardError(gains);
  return { distance, ...repeated, control, gain: control.nll - repeated.nll, gainError, tokens };
}

/** Of the mean of `values`. */
function standardError(values: readonly number[]): number | undefined {
  const count = values.length;
  if (count < 2) return undefined;
  const mean = sum(values) / count;
  return Math.sqrt(sum(values.map((value) => (value - mean) ** 2)) / (count - 1) / count);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
