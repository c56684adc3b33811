/** Rows `[T, width]` in float64, row-major. */
export interface Rows {
  readonly count: number;
  readonly width: number;
  readonly data: Float64Array;
}

/** A linear layer as Hugging Face stores it: `weight [outputs, inputs]`, `bias [outputs]`. */
export interface StoredLinear {
  readonly weight: Float32Array;
  readonly bias: Float32Array | undefined;
}

export const zeroRows = (count: number, width: number): Rows => ({
  count,
  width,
  data: new Float64Array(count * width),
});

/** `y[o] = Σ_i x[i] weight[o, i] + bias[o]`. */
export function applyLinear(x: Rows, { weight, bias }: StoredLinear): Rows {
  const outputs = weight.length / x.width;
  const y = zeroRows(x.count, outputs);
  for (let row = 0; row < x.count; row++) {
    for (let output = 0; output < outputs; output++) {
      let sum = bias?.[output] ?? 0;
      for (let i = 0; i < x.width; i++) sum += x.data[row * x.width + i]! * weight[output * x.width + i]!;
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

/** `x / sqrt(mean(x²) + epsilon) * weight`. */
export function rmsNorm(x: Rows, weight: Float32Array, epsilon: number): Rows {
  const y = zeroRows(x.count, x.width);
  for (let row = 0; row < x.count; row++) {
    let squares = 0;
    for (let i = 0; i < x.width; i++) squares += x.data[row * x.width + i]! ** 2;
    const scale = 1 / Math.sqrt(squares / x.width + epsilon);
    for (let i = 0; i < x.width; i++)
      y.data[row * x.width + i] = x.data[row * x.width + i]! * scale * weight[i]!;
  }
  return y;
}

/** `(x - mean) / sqrt(variance + epsilon) * weight + bias`. */
export function layerNorm(x: Rows, weight: Float32Array, bias: Float32Array, epsilon: number): Rows {
  const y = zeroRows(x.count, x.width);
  for (let row = 0; row < x.count; row++) {
    const values = x.data.subarray(row * x.width, (row + 1) * x.width);
    const mean = values.reduce((sum, value) => sum + value, 0) / x.width;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.width;
    for (let i = 0; i < x.width; i++)
      y.data[row * x.width + i] =
        ((values[i]! - mean) / Math.sqrt(variance + epsilon)) * weight[i]! + bias[i]!;
  }
  return y;
}

export const silu = (x: number): number => x / (1 + Math.exp(-x));

/** GELU's tanh form (Hendrycks and Gimpel 2016, section 2), which BLOOM was trained with. */
export const geluTanh = (x: number): number =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
