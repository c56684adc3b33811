import type { LinearSource } from "../model/block-spec.js";
import { type Linear, NO_NUMBERS } from "../model/decoder-weights.js";
import { storedColumns } from "../model/stored-pieces.js";
import { transposeFloats } from "../model/transpose.js";
import { numbersOf, type ReadTensor, type StoredTensor } from "./stored-tensor.js";

/**
 * Reads a linear layer: the weight is brought to `[inputs, outputs]`, and its constant factor is multiplied in. A weight
 * without a factor stays where it is if `read` allows that.
 */
export async function loadLinear(
  read: ReadTensor,
  source: LinearSource,
  inputs: number,
  outputs: number,
): Promise<Linear> {
  const { name, bias, factor = 1 } = source;
  return {
    inputs,
    outputs,
    ...(await loadWeight(read, source, inputs, outputs)),
    bias: bias ? times(await read(`${name}.bias`, [outputs]), factor) : undefined,
  };
}

/** Reads a layer of which parts are taken: where it stays in the checkpoint, it has a row for each output. */
export const loadFused: typeof loadLinear = (read, source, inputs, outputs) =>
  loadLinear(source.order === "inputs-first" ? numbersOf(read) : read, source, inputs, outputs);

async function loadWeight(
  read: ReadTensor,
  { name, order, factor = 1 }: LinearSource,
  inputs: number,
  outputs: number,
): Promise<Pick<Linear, "weight" | "stored">> {
  const tensor = `${name}.weight`;
  const isTransposed = order !== "inputs-first";
  const shape = isTransposed ? ([outputs, inputs] as const) : ([inputs, outputs] as const);
  const matrix = factor === 1 ? read.leave?.(tensor, shape) : undefined;
  if (matrix !== undefined) return { weight: NO_NUMBERS, stored: { matrix, isTransposed } };
  const weight = isTransposed
    ? await readTransposed(read, tensor, [outputs, inputs])
    : await read(tensor, shape);
  return { weight: times(weight, factor) };
}

/**
 * The transpose of a stored `[rows, columns]` matrix. Sixteen-bit floats are turned as they are decoded: a second array of
 * the matrix's size, which is used once, would take longer than all the work on it.
 */
async function readTransposed(
  read: ReadTensor,
  tensor: string,
  [rows, columns]: readonly [number, number],
): Promise<Float32Array> {
  const halves = read.halves?.(tensor, [rows, columns]);
  if (halves === undefined) return transposeFloats(await read(tensor, [rows, columns]), rows, columns);
  const turned = new Float32Array(rows * columns);
  await storedColumns(halves, { type: "float32", tensor })(new Uint8Array(turned.buffer), 0);
  return turned;
}

/** The opposite of `loadLinear`. A bias that the source does not have is stored all the same: folding can make one. */
export function storeLinear(
  { name, order, factor = 1 }: LinearSource,
  { inputs, outputs, weight, stored: left, bias }: Linear,
): readonly StoredTensor[] {
  const shape = order === "inputs-first" ? [inputs, outputs] : [outputs, inputs];
  const values = () => {
    const plain = times(weight, 1 / factor);
    return order === "inputs-first" ? plain : transposeFloats(plain, inputs, outputs);
  };
  const tensor = `${name}.weight`;
  const stored: StoredTensor =
    left === undefined
      ? { name: tensor, shape, data: values() }
      : { name: tensor, shape, data: NO_NUMBERS, matrix: left.matrix };
  if (bias === undefined) return [stored];
  return [stored, { name: `${name}.bias`, shape: [outputs], data: times(bias, 1 / factor) }];
}

/** The values themselves where the factor is 1. */
export const times = (values: Float32Array, factor: number): Float32Array =>
  factor === 1 ? values : values.map((value) => value * factor);
