import type { Activation } from "../../src/model/block-spec.js";
import type { Linear, NormWeights } from "../../src/model/decoder-weights.js";

/** Rows `[T, width]` in float64, row-major. */
export interface Rows {
  readonly count: number;
  readonly width: number;
  readonly data: Float64Array;
}

export const zeroRows = (count: number, width: number): Rows => ({
  count,
  width,
  data: new Float64Array(count * width),
});

/** `y[o] = Σ_i x[i] weight[i, o] + bias[o]`. */
export function applyLinear(x: Rows, { outputs, weight, bias }: Linear): Rows {
  const y = zeroRows(x.count, outputs);
  for (let row = 0; row < x.count; row++) {
    for (let output = 0; output < outputs; output++) {
      let sum = bias?.[output] ?? 0;
      for (let i = 0; i < x.width; i++) sum += x.data[row * x.width + i]! * weight[i * outputs + output]!;
      y.data[row * outputs + output] = sum;
    }
  }
  return y;
}

export function addRows(a: Rows, b: Rows): Rows {
  return { ...a, data: a.data.map((value, index) => value + b.data[index]!) };
}

export function mapRows(x: Rows, change: (value: number, index: number) => number): Rows {
  return { ...x, data: x.data.map(change) };
}

/** RMSNorm `x / sqrt(mean(x²) + epsilon) * weight`, or LayerNorm `(x - mean) / sqrt(variance + epsilon) * weight + bias`. */
export function applyNorm(x: Rows, { kind, epsilon, weight, bias }: NormWeights): Rows {
  const y = zeroRows(x.count, x.width);
  for (let row = 0; row < x.count; row++) {
    const values = x.data.subarray(row * x.width, (row + 1) * x.width);
    const centre = kind === "rms" ? 0 : values.reduce((sum, value) => sum + value, 0) / x.width;
    const square = values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / x.width;
    const scale = 1 / Math.sqrt(square + epsilon);
    for (let i = 0; i < x.width; i++)
      y.data[row * x.width + i] = (values[i]! - centre) * scale * weight[i]! + (bias?.[i] ?? 0);
  }
  return y;
}

export const softCap = (x: number, cap: number): number => cap * Math.tanh(x / cap);

/**
 * The error function by the series of Kummer, `2 / sqrt(pi) e^(-x^2) sum 2^n x^(2n + 1) / (2n + 1)!!`, whose terms have
 * one sign: the alternating series loses 13 digits at `|x| = 5.5`.
 */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let [sum, term] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

export const activations: Readonly<Record<Activation, (x: number) => number>> = {
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  // Hendrycks and Gimpel 2016, section 2.
  gelu_pytorch_tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  relu: (x) => Math.max(x, 0),
  relu2: (x) => Math.max(x, 0) ** 2,
};
