import { PolicyError } from "../policy-error.js";
import { groupMeans } from "./group-means.js";
import { type HeadRows, requireValues, rowsOfHead } from "./head-rows.js";
import { rowNorms } from "./key-norms.js";
import { addRowProducts, ROWS, strideOf } from "./narrow-products.js";
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
  const stride = strideOf(width);
  const ofHead = rowsOfHead(keys, Math.floor(head / (moments.heads / keys.heads)));
  const form = halfForm(moments, head, scale * scale, stride);
  const means = scaledMeans(moments, head, scale, stride);
  const [block, products] = [new Float64Array(ROWS * stride), new Float64Array(ROWS * stride)];
  const first = ofHead.length - target.length * width;
  for (let token = 0; token < target.length; token += ROWS) {
    const count = Math.min(ROWS, target.length - token);
    for (let index = 0; index < count; index++) {
      const start = first + (token + index) * width;
      block.set(ofHead.subarray(start, start + width), index * stride);
    }
    products.set(means);
    addRowProducts(products, block, form, { stride, isLower: true });
    for (let index = 0; index < count; index++)
      target[token + index] = dot(products, block, index * stride, (index + 1) * stride);
  }
}

/** The lower triangle `[stride, stride]` whose form `Σ_{j <= i} k_i A_ij k_j` is `factor k Σ kᵀ / 2`. */
function halfForm(
  { covariance, width }: QueryMoments,
  head: number,
  factor: number,
  stride: number,
): Float64Array {
  const form = new Float64Array(stride * stride);
  for (let i = 0; i < width; i++) {
    const row = (head * width + i) * width;
    for (let j = 0; j < i; j++) form[i * stride + j] = factor * covariance[row + j]!;
    form[i * stride + i] = (factor / 2) * covariance[row + i]!;
  }
  return form;
}

/** The mean times a factor, for each of the keys that are taken at once. */
function scaledMeans(
  { mean, width }: QueryMoments,
  head: number,
  factor: number,
  stride: number,
): Float64Array {
  const means = new Float64Array(ROWS * stride);
  for (let key = 0; key < ROWS; key++)
    for (let j = 0; j < width; j++) means[key * stride + j] = factor * mean[head * width + j]!;
  return means;
}

/** The product of the numbers `[start, end)` of two arrays. */
function dot(a: Float64Array, b: Float64Array, start: number, end: number): number {
  let sum = 0;
  for (let at = start; at < end; at++) sum += a[at]! * b[at]!;
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
