import { type Dtype, dtypeBytes } from "./dtype.js";

/** Where a tensor lies in its file: absolute byte offsets `[start, end)`, row-major and little-endian. */
export interface TensorInfo {
  readonly name: string;
  /** As the header spells it. Newer writers may use types other than {@link Dtype}; only their raw bytes can be read. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

/** Byte length of a tensor, or `undefined` when it is not a safe integer (dimensions near 2^63 are a known attack). */
export function tensorBytes(dtype: Dtype, shape: readonly number[]): number | undefined {
  if (shape.includes(0)) return 0;
  // Doubles only grow here and never wrap: once past 2^53 the product stays past it.
  const bytes = shape.reduce((product, dim) => product * dim, dtypeBytes(dtype));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

export const isDimension = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;
