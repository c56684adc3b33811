/** A tensor of a checkpoint, as Hugging Face stores it. */
export interface StoredTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Reads a tensor as float32 after checking its shape. */
export type ReadTensor = (name: string, shape: readonly number[]) => Promise<Float32Array>;
