import type { StoredMatrix } from "../model/stored-matrix.js";

/** A tensor of a checkpoint, as Hugging Face stores it. */
export interface StoredTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Empty where `matrix` has the numbers. */
  readonly data: Float32Array;
  /** Numbers that are still in the input's checkpoint, in the same order. */
  readonly matrix?: StoredMatrix | undefined;
}

/** Reads tensors of a checkpoint. */
export interface ReadTensor {
  /** Reads a tensor as float32 after checking its shape. */
  (name: string, shape: readonly number[]): Promise<Float32Array>;
  /** A matrix that may stay where it is until it is written; absent where numbers are needed. */
  readonly leave?: ReadMatrix;
  /** A matrix of sixteen-bit floats that is turned as it is decoded; absent where matrices are decoded first. */
  readonly halves?: ReadMatrix | undefined;
}

/** A stored matrix that is read later; `undefined` for one that is read as any tensor. */
export type ReadMatrix = (name: string, shape: readonly [number, number]) => StoredMatrix | undefined;

/** A reader that leaves nothing where it is. */
export const numbersOf = (read: ReadTensor): ReadTensor =>
  Object.assign((name: string, shape: readonly number[]) => read(name, shape), { halves: read.halves });
