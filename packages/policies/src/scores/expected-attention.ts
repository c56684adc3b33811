import { PolicyError } from "../policy-error.js";
import { groupMeans } from "./group-means.js";
import { type HeadRows, requireValues, rowsOfHead } from "./head-rows.js";
import { rowNorms } from "./key-norms.js";
import { protect } from "./protect.js";
import type { QueryMoments } from "./query-moments.js";
import { softmaxInPlace } from "./softmax.js";

export declare namespace expectedAttentionScores {
  interface Options {
    /** `[Hkv, T, d]`, rotated. */
    readonly keys: HeadRows;
    /** `[Hkv, T, dv]` */
    readonly values: HeadRows;
    /** Of queries to come, as they meet keys: `turnMoments`. */
    readonly moments: QueryMoments;
    /** First tokens, which always stay and take no part in the softmax. Default 4. */
    readonly sinks?: number | undefined;
    /** What is added to the expected weights. Default 0; kvpress's evaluation uses 0.01. */
    readonly epsilon?: number | undefined;
    /** What scores are multiplied by. Default `1 / sqrt(d)`. */
    readonly scale?: number | undefined;
  }
}

/**
 * Scores of Expected Attention: were queries normally distributed, `E[exp(s q k)] = exp(s μ k + s² k Σ kᵀ / 2)`. These are
 * normalised over the tokens, averaged over the query heads of a group, and multiplied by the norm of the token's value.
 *
 * Source: Devoto et al., "Expected Attention", arXiv 2510.00636, as in kvpress.
 *
 * Numerics: float64, rounded once. Costs `H T d² / 2` multiply-adds: at `d` = 64 as much as 32 queries of a window.
 *
 * @returns `[Hkv, T]`; higher stays.
 * @throws {PolicyError} when keys, values and moments do not fit, or when there are no
 * tokens beside the sinks.
 */
export function expectedAttentionScores(options: expectedAttentionScores.Options): Float32Array {
  requireFit(options);
  const { keys, values, moments, sinks = 4, epsilon = 0 } = options;
  const weights = new Float64Array(moments.heads * keys.rows);
  for (let head = 0; head < moments.heads; head++) {
    const ofHead = weights.subarray(head * keys.rows + sinks, (head + 1) * keys.rows);
    expectedScores(ofHead, options, head);
    softmaxInPlace(ofHead);
  }
  const scores = groupMeans(weights, keys.heads, keys.rows);
  const norms = rowNorms(values);
  for (let at = 0; at < scores.length; at++) scores[at] = (scores[at]! + epsilon) * norms[at]!;
  return protect(scores, keys.rows, 0, sinks);
}

/** `s μ k + s² k Σ kᵀ / 2` for the tokens after the sinks. */
function expectedScores(
  target: Float64Array,
  { keys, moments, scale = 1 / Math.sqrt(keys.width) }: expectedAttentionScores.Options,
  head: number,
): void {
  const { width } = keys;
  const ofHead = rowsOfHead(keys, Math.floor(head / (moments.heads / keys.heads)));
  const mean = moments.mean.subarray(head * width, (head + 1) * width);
  const form = halfForm(moments, head, scale * scale);
  const block = new Float64Array(KEYS * width);
  const first = ofHead.length - target.length * width;
  for (let token = 0; token < target.length; token += KEYS) {
    block.fill(0);
    block.set(ofHead.subarray(first + token * width, first + (token + KEYS) * width));
    const forms = quadratics(form, block, width);
    for (let index = 0; index < KEYS && token + index < target.length; index++)
      target[token + index] =
        scale * dot(mean, block.subarray(index * width, (index + 1) * width)) + forms[index]!;
  }
}

/** Keys that are taken at once: each number of a form is read once for all of them. */
const KEYS = 4;

/** The lower triangle whose form `Σ_{j <= i} k_i A_ij k_j` is `factor k Σ kᵀ / 2`. */
function halfForm({ covariance, width }: QueryMoments, head: number, factor: number): Float64Array {
  const form = covariance.slice(head * width * width, (head + 1) * width * width);
  for (let i = 0; i < width; i++) {
    for (let j = 0; j < i; j++) form[i * width + j]! *= factor;
    form[i * width + i]! *= factor / 2;
  }
  return form;
}

/** `Σ_{j <= i} k_i A_ij k_j` of four keys. */
function quadratics(form: Float64Array, keys: Float64Array, width: number): readonly number[] {
  const [second, third, fourth] = [width, 2 * width, 3 * width];
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < width; i++) {
    let [p, q, r, s] = [0, 0, 0, 0];
    for (let j = 0, at = i * width; j <= i; j++, at++) {
      const factor = form[at]!;
      p += factor * keys[j]!;
      q += factor * keys[second + j]!;
      r += factor * keys[third + j]!;
      s += factor * keys[fourth + j]!;
    }
    a += keys[i]! * p;
    b += keys[second + i]! * q;
    c += keys[third + i]! * r;
    d += keys[fourth + i]! * s;
  }
  return [a, b, c, d];
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += a[j]! * b[j]!;
  return sum;
}

function requireFit({ keys, values, moments, sinks = 4 }: expectedAttentionScores.Options): void {
  requireValues("expectedAttentionScores", keys, values);
  if (moments.width !== keys.width || moments.heads % keys.heads !== 0) {
    throw new PolicyError(
      `expectedAttentionScores: expected moments of query heads of width ${keys.width} in equal groups over ${keys.heads} KV heads, found ${moments.heads} of width ${moments.width}`,
    );
  }
  if (keys.rows > sinks) return;
  throw new PolicyError(
    `expectedAttentionScores: expected more tokens than the ${sinks} sinks, found ${keys.rows}`,
  );
}
