import { SafetensorsError } from "./safetensors-error.js";

/**
 * Makes sure that a tensor's values are finite: one bad weight silently turns every moment into NaN.
 *
 * @throws {SafetensorsError} `not-finite` naming the tensor, the flat index and the value.
 */
export function checkFinite(name: string, values: Float32Array): void {
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i]!)) continue;
    throw new SafetensorsError(
      "not-finite",
      `tensor ${name}: expected finite values, found ${values[i]} at index ${i}; the checkpoint is damaged or overflowed`,
    );
  }
}
