import { type Linear, nearestCode, quantiseRows } from "@kvfold/decoder";
import { plainProducts } from "@kvfold/linalg";
import { gaussians } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { quantiseLinear } from "./quantise-linear.js";
import { fallingOrder, roundInTurn } from "./round-in-turn.js";

const transposed = (values: ArrayLike<number>, rows: number, columns: number) =>
  Float32Array.from(
    { length: rows * columns },
    (_, at) => values[(at % rows) * columns + Math.floor(at / rows)]!,
  );

/** A random projection and the second moments of inputs that are mixed from `rank` sources. */
function randomCase(seed: number, { inputs = 48, outputs = 5, rank = 20, tokens = 100 } = {}) {
  const next = gaussians(seed);
  const mix = Float64Array.from({ length: rank * inputs }, () => next());
  const gram = new Float64Array(inputs * inputs);
  for (let token = 0; token < tokens; token++) {
    const sources = Float64Array.from({ length: rank }, () => next());
    const x = Float64Array.from({ length: inputs }, (_, input) =>
      sources.reduce((sum, source, index) => sum + source * mix[index * inputs + input]!, 0),
    );
    for (let i = 0; i < inputs; i++) for (let j = 0; j < inputs; j++) gram[i * inputs + j]! += x[i]! * x[j]!;
  }
  const weight = Float32Array.from({ length: inputs * outputs }, () => next());
  return { linear: { inputs, outputs, weight, bias: undefined } satisfies Linear, gram };
}

/** `(w - q)ᵀ H (w - q)` of each output, by its definition. */
function errorsOf(linear: Linear, rounded: Float32Array, gram: Float64Array): number[] {
  const { inputs, outputs, weight } = linear;
  return Array.from({ length: outputs }, (_, output) => {
    const e = (input: number) => weight[input * outputs + output]! - rounded[input * outputs + output]!;
    let sum = 0;
    for (let i = 0; i < inputs; i++)
      for (let j = 0; j < inputs; j++) sum += e(i) * gram[i * inputs + j]! * e(j);
    return sum;
  });
}

function nearest({ inputs, outputs, weight }: Linear): Float32Array {
  const { scales } = quantiseRows(transposed(weight, inputs, outputs), outputs, inputs);
  const blocks = Math.ceil(inputs / 32);
  return weight.map((value, at) => {
    const scale = scales[(at % outputs) * blocks + Math.floor(at / outputs / 32)]!;
    return scale === 0 ? 0 : (nearestCode(value, 1 / scale) - 8) * scale;
  });
}

/** The inverse of a small symmetric matrix, by Gauss and Jordan. */
function inverse(matrix: number[][]): number[][] {
  const size = matrix.length;
  const work = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
  for (let i = 0; i < size; i++) {
    const pivot = work[i]![i]!;
    work[i] = work[i]!.map((value) => value / pivot);
    for (let j = 0; j < size; j++) {
      const factor = work[j]![i]!;
      if (j !== i) work[j] = work[j]!.map((value, k) => value - factor * work[i]![k]!);
    }
  }
  return work.map((row) => row.slice(size));
}

/**
 * Optimal brain quantisation in a given order (Frantar et al., 2210.17323, equations 2 and 3): after each weight the others
 * are moved by the inverse of the second moments of the inputs that are left, which is inverted anew each time.
 */
function brainQuantise(weights: number[], scales: number[], gram: number[][], order: number[]): number[] {
  const left = [...weights];
  const codes = Array<number>(weights.length).fill(8);
  for (const [place, input] of order.entries()) {
    const rest = order.slice(place);
    const inverted = inverse(rest.map((i) => rest.map((j) => gram[i]![j]!)));
    const code = nearestCode(left[input]!, 1 / scales[input]!);
    codes[input] = code;
    const error = (left[input]! - (code - 8) * scales[input]!) / inverted[0]![0]!;
    for (const [k, other] of rest.entries()) left[other]! -= error * inverted[0]![k]!;
  }
  return codes;
}

describe("roundInTurn", () => {
  it("gives the codes of optimal brain quantisation in the same order", async () => {
    const { linear, gram } = randomCase(3, { inputs: 40, rank: 30 });
    const { inputs, outputs, weight } = linear;
    const { scales } = quantiseRows(transposed(weight, inputs, outputs), outputs, inputs);
    const rows = Array.from({ length: inputs }, (_, i) =>
      Array.from(gram.subarray(i * inputs, (i + 1) * inputs)),
    );
    const mean = rows.reduce((sum, row, i) => sum + row[i]!, 0) / inputs;
    for (let i = 0; i < inputs; i++) rows[i]![i]! += 0.01 * mean;
    const { codes } = await roundInTurn(linear, scales, Float64Array.from(rows.flat()), plainProducts);
    const order = [...fallingOrder(Float64Array.from(rows.flat()), inputs)];
    for (let output = 0; output < outputs; output++) {
      const column = Array.from({ length: inputs }, (_, i) => weight[i * outputs + output]!);
      const steps = column.map((_, i) => scales[output * 2 + Math.floor(i / 32)]!);
      const ours = column.map((_, i) => codes[i * outputs + output]!);
      expect(ours).toEqual(brainQuantise(column, steps, rows, order));
    }
  });
});

describe("quantiseLinear", () => {
  it("changes no output more than nearest rounding does, and most of them much less", async () => {
    let [ours, plain] = [0, 0];
    for (let seed = 1; seed <= 12; seed++) {
      const { linear, gram } = randomCase(seed, { inputs: 20 + 7 * seed, rank: 4 * seed });
      const { weight } = await quantiseLinear({ linear, gram }, plainProducts);
      const errors = errorsOf(linear, weight, gram);
      for (const [output, bound] of errorsOf(linear, nearest(linear), gram).entries()) {
        // Weights and scales are rounded to float32.
        expect(errors[output]).toBeLessThanOrEqual(bound * (1 + 1e-5));
        ours += errors[output]!;
        plain += bound;
      }
    }
    expect(ours).toBeLessThan(0.5 * plain);
  });

  it("writes codes that stand for its numbers", async () => {
    const { linear, gram } = randomCase(5, { inputs: 70 });
    const { weight, fourBit } = await quantiseLinear({ linear, gram }, plainProducts);
    const { codes, scales, blocks } = fourBit!;
    for (let output = 0; output < 5; output++) {
      for (let input = 0; input < 70; input++) {
        const byte = codes[output * blocks * 16 + (input >> 1)]!;
        const code = input % 2 === 0 ? byte & 15 : byte >> 4;
        const scale = scales[output * blocks + (input >> 5)]!;
        expect(weight[input * 5 + output]).toBe(Math.fround((code - 8) * scale));
      }
    }
  });

  it("keeps zeros, and takes inputs that are never seen and moments that are all zero", async () => {
    const { linear, gram } = randomCase(7, { inputs: 64, rank: 3 });
    const zeroed = { ...linear, weight: linear.weight.map((value, at) => (at < 32 * 5 ? 0 : value)) };
    for (let i = 0; i < 64; i++) gram[40 * 64 + i] = gram[i * 64 + 40] = 0;
    const rounded = await quantiseLinear({ linear: zeroed, gram }, plainProducts);
    expect(rounded.weight.every(Number.isFinite)).toBe(true);
    expect(rounded.weight.subarray(0, 32 * 5).every((value) => value === 0)).toBe(true);
    const unseen = await quantiseLinear({ linear, gram: new Float64Array(64 * 64) }, plainProducts);
    expect(unseen.weight).toEqual(nearest(linear));
  });
});
