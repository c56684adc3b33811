import { largestValues, sortDescending } from "./largest.js";
import type { Random } from "./random.js";
import { RuntimeError } from "./runtime-error.js";

export declare namespace sampleToken {
  interface Options {
    /** Divides the logits. 0 always picks the most likely token. */
    readonly temperature?: number | undefined;
    /** Only this many of the most likely tokens. */
    readonly topK?: number | undefined;
    /** Only the most likely tokens that together reach this probability, after `topK` (Holtzman et al., 2020). */
    readonly topP?: number | undefined;
  }
}

/**
 * Draws a token from `softmax(logits / temperature)`, first cut to `topK` tokens and then to a nucleus of `topP`. Among
 * equally likely tokens at the cut those of lower ids stay.
 *
 * Numerics: probabilities are float64 around the largest logit, so no temperature overflows. Minus infinity is a token
 * never drawn.
 *
 * @param logits - `[vocabulary]`; not changed.
 * @throws {RuntimeError} `invalid-argument` for an option out of range; `invalid-logits` when a logit is NaN or plus
 *   infinity, or none is finite.
 *
 * @example
 * ```ts
 * import { createRandom, sampleToken } from "@kvfold/runtime";
 *
 * sampleToken(Float32Array.of(0, 5, 4), { temperature: 0 }, createRandom(0)) // => 1
 * ```
 */
export function sampleToken(logits: Float32Array, options: sampleToken.Options, random: Random): number {
  const { temperature = 1, topK = logits.length, topP = 1 } = options;
  checkOptions(temperature, topK, topP);
  const likeliest = argmax(logits);
  if (temperature === 0) return likeliest;
  const weights = softmaxWeights(logits, logits[likeliest]!, temperature);
  if (topK < weights.length) keepLargest(weights, largestValues(weights, topK));
  if (topP < 1) keepLargest(weights, nucleus(weights, topP));
  return draw(weights, random());
}

/**
 * The most likely token; of equals the one of lowest id.
 *
 * @throws {RuntimeError} `invalid-logits` when a logit is NaN or plus infinity, or none is finite.
 */
export function argmax(logits: Float32Array): number {
  let best = 0;
  let orderly = true;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    orderly &&= logit < Number.POSITIVE_INFINITY;
    if (logit > logits[best]!) best = id;
  }
  if (orderly && Number.isFinite(logits[best])) return best;
  throw new RuntimeError(
    "invalid-logits",
    "sampling: expected finite logits, found NaN, infinity, or none at all",
  );
}

/** Probabilities up to a common factor: 1 for the largest logit. A plain loop: `from` takes ten times as long. */
function softmaxWeights(logits: Float32Array, largest: number, temperature: number): Float64Array {
  const weights = new Float64Array(logits.length);
  for (let id = 0; id < logits.length; id++) weights[id] = Math.exp((logits[id]! - largest) / temperature);
  return weights;
}

/** Sets all weights but the largest, which are given in descending order, to zero. */
function keepLargest(weights: Float64Array, largest: Float64Array): void {
  const threshold = largest.at(-1)!;
  let ties = largest.length - largest.indexOf(threshold);
  for (let id = 0; id < weights.length; id++) {
    const weight = weights[id]!;
    if (weight > threshold || (weight === threshold && ties-- > 0)) continue;
    weights[id] = 0;
  }
}

/**
 * The largest weights that together reach the share `topP` of the sum, in descending order. Only weights that can be
 * among them are sorted: those below `(1 - topP) / count` of the sum make up less than `1 - topP` of it together.
 */
function nucleus(weights: Float64Array, topP: number): Float64Array {
  const total = sum(weights);
  const least = ((1 - topP) * total) / weights.length;
  const candidates = sortDescending(weights.filter((weight) => weight >= least));
  return candidates.subarray(0, countReaching(candidates, topP * total));
}

/** How many values it takes, from the first on, to reach a sum. */
function countReaching(values: Float64Array, target: number): number {
  let reached = 0;
  for (let count = 0; count < values.length; count++) {
    reached += values[count]!;
    if (reached >= target) return count + 1;
  }
  return values.length;
}

/** The token at the share `position` of the weights laid end to end. */
function draw(weights: Float64Array, position: number): number {
  const target = position * sum(weights);
  let reached = 0;
  let last = 0;
  for (let id = 0; id < weights.length; id++) {
    if (weights[id] === 0) continue;
    reached += weights[id]!;
    last = id;
    if (reached > target) return id;
  }
  return last;
}

function sum(values: Float64Array): number {
  let total = 0;
  for (let index = 0; index < values.length; index++) total += values[index]!;
  return total;
}

function checkOptions(temperature: number, topK: number, topP: number): void {
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY))
    throw outOfRange("a finite temperature from 0 up", temperature);
  if (!(Number.isInteger(topK) && topK >= 1)) throw outOfRange("an integer topK of at least 1", topK);
  if (!(topP > 0 && topP <= 1)) throw outOfRange("topP in (0, 1]", topP);
}

const outOfRange = (expected: string, found: number): RuntimeError =>
  new RuntimeError("invalid-argument", `sampleToken: expected ${expected}, found ${found}`);
