import type { LinearSource } from "../model/block-spec.js";
import type { Linear } from "../model/decoder-weights.js";
import { transposeFloats } from "../model/transpose.js";
import type { ReadTensor, StoredTensor } from "./stored-tensor.js";

/** Reads a linear layer: the weight is brought to `[inputs, outputs]`, and its constant factor is multiplied in. */
export async function loadLinear(
  read: ReadTensor,
  { name, bias, order, factor = 1 }: LinearSource,
  inputs: number,
  outputs: number,
): Promise<Linear> {
  const weight =
    order === "inputs-first"
      ? await read(`${name}.weight`, [inputs, outputs])
      : transposeFloats(await read(`${name}.weight`, [outputs, inputs]), outputs, inputs);
  return {
    inputs,
    outputs,
    weight: times(weight, factor),
    bias: bias ? times(await read(`${name}.bias`, [outputs]), factor) : undefined,
  };
}

/** The opposite of `loadLinear`. A bias that the source does not have is stored all the same: folding can make one. */
export function storeLinear(
  { name, order, factor = 1 }: LinearSource,
  { inputs, outputs, weight, bias }: Linear,
): readonly StoredTensor[] {
  const plain = times(weight, 1 / factor);
  const stored: StoredTensor =
    order === "inputs-first"
      ? { name: `${name}.weight`, shape: [inputs, outputs], data: plain }
      : { name: `${name}.weight`, shape: [outputs, inputs], data: transposeFloats(plain, inputs, outputs) };
  if (bias === undefined) return [stored];
  return [stored, { name: `${name}.bias`, shape: [outputs], data: times(bias, 1 / factor) }];
}

/** The values themselves where the factor is 1. */
export const times = (values: Float32Array, factor: number): Float32Array =>
  factor === 1 ? values : values.map((value) => value * factor);
