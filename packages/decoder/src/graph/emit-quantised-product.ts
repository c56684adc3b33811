import { tensorValue } from "@kvfold/onnx";
import { BLOCK_BYTES, BLOCK_SIZE, quantiseRows } from "../quantisation/four-bit-blocks.js";
import { type Emitter, MICROSOFT } from "./emitter.js";
import { once } from "./memoise.js";

/** Weights of a product as `MatMulNBits` has them: a row for each output. */
export interface ProductRows {
  readonly inputs: number;
  readonly outputs: number;
  /** `[outputs, inputs]`. */
  readonly rows: () => Float32Array;
}

/**
 * `y = x rows^T` with the rows in four bits: `[..., inputs]` to `[..., outputs]`. Names and shapes are those of ONNX
 * Runtime's own quantiser, and so is the missing `accuracy_level`: products are taken in the graph's float type.
 */
export function emitQuantisedProduct(e: Emitter, x: string, { inputs, outputs, rows }: ProductRows): string {
  const quantised = once(() => quantiseRows(rows(), outputs, inputs));
  const blocks = Math.ceil(inputs / BLOCK_SIZE);
  const weight = e.weight("MatMul/weight_Q4", () =>
    tensorValue("uint8", [outputs, blocks, BLOCK_BYTES], quantised().codes),
  );
  const scale = e.floats("MatMul/weight_scales", [outputs * blocks], () => quantised().scales);
  const attributes = { K: inputs, N: outputs, bits: 4, block_size: BLOCK_SIZE };
  return e.node("MatMulNBits", "MatMul_Q4", [x, weight, scale], { domain: MICROSOFT, attributes });
}
