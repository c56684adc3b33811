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
  const largest = logits[likeliest]!;
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - largest) / temperature));
  if (topK < weights.length || topP < 1) keepLargest(weights, topK, topP);
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

/** Sets all weights but those of the nucleus to zero. */
function keepLargest(weights: Float64Array, topK: number, topP: number): void {
  const descending = weights.toSorted().reverse();
  const count = nucleusSize(descending.subarray(0, topK), topP);
  const threshold = descending[count - 1]!;
  let ties = count - descending.indexOf(threshold);
  for (let id = 0; id < weights.length; id++) {
    const weight = weights[id]!;
    if (weight > threshold || (weight === threshold && ties-- > 0)) continue;
    weights[id] = 0;
  }
}

/** How many of the descending weights it takes to reach the share `topP` of their sum. */
function nucleusSize(descending: Float64Array, topP: number): number {
  if (topP === 1) return descending.length;
  const target = topP * sum(descending);
  let reached = 0;
  for (let count = 0; count < descending.length; count++) {
    reached += descending[count]!;
    if (reached >= target) return count + 1;
  }
  return descending.length;
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

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);

function checkOptions(temperature: number, topK: number, topP: number): void {
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY))
    throw outOfRange("a finite temperature from 0 up", temperature);
  if (!(Number.isInteger(topK) && topK >= 1)) throw outOfRange("an integer topK of at least 1", topK);
  if (!(topP > 0 && topP <= 1)) throw outOfRange("topP in (0, 1]", topP);
}

const outOfRange = (expected: string, found: number): RuntimeError =>
  new RuntimeError("invalid-argument", `sampleToken: expected ${expected}, found ${found}`);
