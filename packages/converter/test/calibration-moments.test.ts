import type { StageMoments } from "@kvfold/calibration";
import type { Checkpoint, Linear } from "@kvfold/decoder";
import { loadBlock } from "@kvfold/decoder";
import { describe, expect, it } from "vitest";
import { referenceLogits, type Seen } from "../../decoder/test/reference/decoder.js";
import type { Rows } from "../../decoder/test/reference/layers.js";
import {
  syntheticCheckpoint,
  tinyBloom,
  tinyLlama,
} from "../../decoder/test/reference/synthetic-checkpoint.js";
import { foldInMemory } from "./support/fold-in-memory.js";
import { largestDifference, randomWindows } from "./support/numbers.js";

/** What the layers of a checkpoint attend with and to, `[window][layer]`. */
async function observe(checkpoint: Checkpoint, windows: readonly Int32Array[]): Promise<Seen[][]> {
  const all: Seen[][] = [];
  for (const window of windows) {
    const layers: Seen[] = [];
    await referenceLogits(checkpoint, window, (layer, seen) => {
      layers[layer] = seen;
      return seen;
    });
    all.push(layers);
  }
  return all;
}

/** `Σ y` and `Σ yᵀy` over the rows of all parts, in plain loops. */
function sums(parts: readonly Rows[]) {
  const { width } = parts[0]!;
  const sum = new Float64Array(width);
  const gram = new Float64Array(width * width);
  for (const { count, data } of parts) {
    for (let row = 0; row < count; row++) {
      const y = data.subarray(row * width, (row + 1) * width);
      for (let i = 0; i < width; i++) {
        sum[i]! += y[i]!;
        for (let j = 0; j < width; j++) gram[i * width + j]! += y[i]! * y[j]!;
      }
    }
  }
  return { sum, gram };
}

/** `[k, v]` of each row: keys before the rotation, then values. */
function keysAndValues({ keysBeforeRope, values }: Seen): Rows {
  const [count, width] = [values.count, values.width];
  const data = new Float64Array(2 * count * width);
  for (let row = 0; row < count; row++) {
    data.set(keysBeforeRope.data.subarray(row * width, (row + 1) * width), 2 * row * width);
    data.set(values.data.subarray(row * width, (row + 1) * width), (2 * row + 1) * width);
  }
  return { count, width: 2 * width, data };
}

/** Relative to the largest: float32 sums of 20 products a window, in float64 over windows, are good to about 1e-6. */
function relativeDifference(a: Float64Array, b: Float64Array): number {
  return largestDifference(a, b) / b.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}

describe("moments of projections", () => {
  it.each([
    ["Llama", tinyLlama],
    ["Llama with query groups", { ...tinyLlama, num_key_value_heads: 2 }],
    ["Mistral in its window", { ...tinyLlama, model_type: "mistral", sliding_window: 5 }],
    ["BLOOM", tinyBloom],
    // Sums are cut into blocks of 256 columns.
    ["Llama of wide heads", { ...tinyLlama, head_dim: 40 }],
  ])("of %s, rotated where the model rotates, are those of the float64 loops", async (_, config) => {
    const checkpoint = await syntheticCheckpoint({ config });
    const windows = randomWindows(3, 20, { vocabulary: 61 });
    const seen = await observe(checkpoint, windows);
    const { moments } = await foldInMemory(checkpoint, { keep: "1/2", method: "latent", windows });
    const early = await foldInMemory(checkpoint, { keep: "1/2", method: "eigen-attention", windows });
    const joint = await foldInMemory(checkpoint, { keep: "1/2", method: "anchored", heal: "none", windows });
    expect(moments).toHaveLength(2);
    for (const layer of moments.keys()) {
      const stage: StageMoments = { ...early.moments[layer], ...joint.moments[layer], ...moments[layer] };
      for (const tap of ["queries", "keys", "keysBeforeRope", "values", "keysAndValues"] as const) {
        const rowsOf = (of: Seen) => (tap === "keysAndValues" ? keysAndValues(of) : of[tap]);
        const expected = sums(seen.map((layers) => rowsOf(layers[layer]!)));
        expect(stage[tap]!.count).toBe(60);
        expect(relativeDifference(stage[tap]!.sum, expected.sum)).toBeLessThan(1e-5);
        expect(relativeDifference(stage[tap]!.gram, expected.gram)).toBeLessThan(1e-5);
      }
    }
  });
});

/** Attention weights `[T, T]` of one head, from queries, keys and the definition of softmax. */
function attentionOf({ queries, keys }: Seen, head: number, kvHead: number, headDim: number): number[][] {
  return Array.from({ length: queries.count }, (_, m) => {
    const exponentials = Array.from({ length: m + 1 }, (_unused, n) => {
      let dot = 0;
      for (let i = 0; i < headDim; i++) {
        dot +=
          queries.data[m * queries.width + head * headDim + i]! *
          keys.data[n * keys.width + kvHead * headDim + i]!;
      }
      return Math.exp(dot / Math.sqrt(headDim));
    });
    const total = exponentials.reduce((sum, value) => sum + value, 0);
    return exponentials.map((value) => value / total);
  });
}

/** `w_m = Σ_n a_mn² |(v_n - o_m) W_O,h|²`, term by term. */
function sensitivities(seen: Seen, attention: number[][], kvHead: number, output: Linear, head: number) {
  const headDim = output.inputs / 4;
  const value = (n: number, i: number) => seen.values.data[n * seen.values.width + kvHead * headDim + i]!;
  return attention.map((weights) => {
    const mean = Array.from({ length: headDim }, (_, i) =>
      weights.reduce((sum, weight, n) => sum + weight * value(n, i), 0),
    );
    return weights.reduce((total, weight, n) => {
      let norm = 0;
      for (let column = 0; column < output.outputs; column++) {
        let moved = 0;
        for (let i = 0; i < headDim; i++) {
          moved += (value(n, i) - mean[i]!) * output.weight[(head * headDim + i) * output.outputs + column]!;
        }
        norm += moved ** 2;
      }
      return total + weight ** 2 * norm;
    }, 0);
  });
}

describe("moments of attention", () => {
  const headDim = 16;

  it.each([4, 2])("of Llama with %i KV heads are those of the definitions", async (kvHeads) => {
    const checkpoint = await syntheticCheckpoint({ config: { ...tinyLlama, num_key_value_heads: kvHeads } });
    const windows = randomWindows(2, 12, { vocabulary: 61 });
    const seen = await observe(checkpoint, windows);
    const { moments } = await foldInMemory(checkpoint, { keep: "1/2", method: "latent", windows });
    for (const [layer, stage] of moments.entries()) {
      const { output } = (await loadBlock(checkpoint, layer)).attention;
      const kvHeadOf = (head: number) => Math.floor(head / (4 / kvHeads));
      const overlap = new Float64Array(16);
      const sensitive: Rows[] = [];
      for (const layers of seen) {
        const at = layers[layer]!;
        const heads = [0, 1, 2, 3].map((head) => attentionOf(at, head, kvHeadOf(head), headDim));
        const data = at.queries.data.slice();
        for (const [head, weights] of heads.entries()) {
          for (const [other, others] of heads.entries()) {
            overlap[head * 4 + other]! += weights
              .flatMap((row, m) => row.map((weight, n) => weight * others[m]![n]!))
              .reduce((sum, product) => sum + product, 0);
          }
          const scales = sensitivities(at, weights, kvHeadOf(head), output, head);
          for (const [m, scale] of scales.entries()) {
            for (let i = 0; i < headDim; i++)
              data[m * at.queries.width + head * headDim + i]! *= Math.sqrt(scale);
          }
        }
        sensitive.push({ ...at.queries, data });
      }
      expect(relativeDifference(stage.attentionWeights!.gram, overlap)).toBeLessThan(1e-5);
      // A query that attends to one key has w near 0: a difference of equal sums, of which rounding is left.
      expect(relativeDifference(stage.sensitiveQueries!.gram, sums(sensitive).gram)).toBeLessThan(5e-4);
    }
  });
});
