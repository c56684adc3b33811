import { tensorValue } from "@kvfold/onnx";
import type { FourBitRows } from "../model/four-bit-rows.js";
import { BLOCK_BYTES, BLOCK_SIZE, quantiseRows } from "../quantisation/four-bit-blocks.js";
import { type Emitter, MICROSOFT } from "./emitter.js";
import { once } from "./memoise.js";

/** Weights of a product in four bits, rounded where no other graph has stored them. */
interface FourBitProduct extends Pick<ProductRows, "inputs" | "outputs"> {
  readonly fourBit: () => FourBitRows;
}

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
export function emitFourBitProduct(
  e: Emitter,
  x: string,
  { inputs, outputs, fourBit }: FourBitProduct,
): string {
  const rounded = once(fourBit);
  const blocks = Math.ceil(inputs / BLOCK_SIZE);
  const weight = e.weight("MatMul/weight_Q4", () =>
    tensorValue("uint8", [outputs, blocks, BLOCK_BYTES], rounded().codes),
  );
  const scale = e.floats("MatMul/weight_scales", [outputs * blocks], () => rounded().scales);
  const attributes = { K: inputs, N: outputs, bits: 4, block_size: BLOCK_SIZE };
  return e.node("MatMulNBits", "MatMul_Q4", [x, weight, scale], { domain: MICROSOFT, attributes });
}

/** The same for rows that are still to be rounded, each weight to the nearest code. */
export function emitQuantisedProduct(e: Emitter, x: string, { inputs, outputs, rows }: ProductRows): string {
  return emitFourBitProduct(e, x, {
    inputs,
    outputs,
    fourBit: () => quantiseRows(rows(), outputs, inputs),
  });
}
