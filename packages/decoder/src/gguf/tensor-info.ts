import { type TensorType, tensorBytes } from "./tensor-type.js";

/** A tensor of a GGUF file. */
export interface GgufTensor {
  readonly name: string;
  /** Row-major, rows last: `[outputs, inputs]`. The file states it the other way round. */
  readonly shape: readonly number[];
  readonly type: TensorType;
}

/** Where a tensor's bytes lie, counted from the start of the tensor data. */
export interface PlacedTensor extends GgufTensor {
  readonly offset: number;
  readonly byteLength: number;
}

/** Tensors start at multiples of this, the alignment that readers assume where a file does not state one. */
export const ALIGNMENT = 32;

export const alignUp = (offset: number): number => Math.ceil(offset / ALIGNMENT) * ALIGNMENT;

export const countElements = (shape: readonly number[]): number =>
  shape.reduce((product, size) => product * size, 1);

/** Lays tensors out one after another. */
export function placeTensors(tensors: readonly GgufTensor[]): readonly PlacedTensor[] {
  let end = 0;
  return tensors.map((tensor) => {
    const offset = alignUp(end);
    const byteLength = tensorBytes(tensor.type, countElements(tensor.shape));
    end = offset + byteLength;
    return { ...tensor, offset, byteLength };
  });
}
