import type { HeadNormSource, NormSource } from "../model/block-spec.js";
import type { HeadNormWeights, NormWeights } from "../model/decoder-weights.js";
import { times } from "./stored-linear.js";
import type { ReadTensor, StoredTensor } from "./stored-tensor.js";

/** Reads a norm of width `size`; its weight becomes what multiplies, also where checkpoints store `w - 1`. */
export async function loadNorm(
  read: ReadTensor,
  { name, kind, epsilon, bias, weightOffset = 0, factor = 1 }: NormSource,
  size: number,
): Promise<NormWeights> {
  const weight = plus(await read(`${name}.weight`, [size]), weightOffset);
  return {
    kind,
    epsilon,
    weight: times(weight, factor),
    bias: bias ? times(await read(`${name}.bias`, [size]), factor) : undefined,
  };
}

/** The opposite of `loadNorm`. */
export function storeNorm(
  { name, weightOffset = 0, factor = 1 }: NormSource,
  { weight, bias }: NormWeights,
): readonly StoredTensor[] {
  const stored: StoredTensor = {
    name: `${name}.weight`,
    shape: [weight.length],
    data: plus(times(weight, 1 / factor), -weightOffset),
  };
  if (bias === undefined) return [stored];
  return [stored, { name: `${name}.bias`, shape: [bias.length], data: times(bias, 1 / factor) }];
}

/** Reads the norm of `heads` queries or keys of size `headDim`. */
export async function loadHeadNorm(
  read: ReadTensor,
  { kind, epsilon, over, names, weightOffset = 0 }: HeadNormSource,
  heads: number,
  headDim: number,
): Promise<HeadNormWeights> {
  const shape = headNormShape({ over, names }, heads, headDim);
  const parts: Float32Array[] = [];
  for (const name of names) parts.push(await read(`${name}.weight`, shape));
  return { kind, epsilon, over, weight: plus(concatenate(parts), weightOffset) };
}

/** The opposite of `loadHeadNorm`. */
export function storeHeadNorm(
  { over, names, weightOffset = 0 }: HeadNormSource,
  { weight }: HeadNormWeights,
  heads: number,
  headDim: number,
): readonly StoredTensor[] {
  const plain = plus(weight, -weightOffset);
  const size = plain.length / names.length;
  return names.map((name, index) => ({
    name: `${name}.weight`,
    shape: headNormShape({ over, names }, heads, headDim),
    data: plain.subarray(index * size, (index + 1) * size),
  }));
}

/** Shape of each of the tensors that hold the weight. */
function headNormShape(
  { over, names }: Pick<HeadNormSource, "over" | "names">,
  heads: number,
  headDim: number,
): readonly number[] {
  if (over === "whole") return [heads * headDim];
  return over === "by-head" && names.length === 1 ? [heads, headDim] : [headDim];
}

const plus = (values: Float32Array, offset: number): Float32Array =>
  offset === 0 ? values : values.map((value) => value + offset);

function concatenate(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0]!;
  const result = new Float32Array(parts.reduce((size, part) => size + part.length, 0));
  let start = 0;
  for (const part of parts) {
    result.set(part, start);
    start += part.length;
  }
  return result;
}
