import type { AttentionWeights } from "@kvfold/decoder";
import { fromFloat32, identity, multiply, plainProducts, toFloat32, transposeMultiply } from "@kvfold/linalg";
import { gaussians } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { largestDifference } from "../../test/support/numbers.js";
import { directionsPerHead, narrowOutput, widenOutput } from "./head-directions.js";

const HEADS = 2;
const HEAD = 3;
const RANK = 8;
const HIDDEN = 10;

/** `W_O` that decodes latents of 8 into heads of 3, as folding makes it. */
function foldedAttention(): AttentionWeights {
  const next = gaussians(5);
  const random = (rows: number, cols: number) =>
    fromFloat32(
      rows,
      cols,
      Float32Array.from({ length: rows * cols }, () => next()),
    );
  const weight = Array.from({ length: HEADS }, () => multiply(random(RANK, HEAD), random(HEAD, HIDDEN)));
  const output = {
    inputs: HEADS * RANK,
    outputs: HIDDEN,
    weight: Float32Array.from(weight.flatMap((head) => [...toFloat32(head)])),
    bias: undefined,
  };
  const values = { heads: 1, size: RANK };
  return { heads: HEADS, headDim: HEAD, values, output } as unknown as AttentionWeights;
}

const withWeight = (attention: AttentionWeights, weight: Float32Array): AttentionWeights => ({
  ...attention,
  output: { ...attention.output, weight },
});

function readsSecondCoordinate(): Float32Array {
  const weight = new Float32Array(HEADS * RANK * HIDDEN);
  for (let head = 0; head < HEADS; head++)
    weight.fill(1, (head * RANK + 1) * HIDDEN, (head * RANK + 2) * HIDDEN);
  return weight;
}

describe("directionsPerHead", () => {
  const attention = { heads: 8, headDim: 64, values: { heads: 1, size: 256 } };

  it("gives each input of W_O 128 tokens", () => {
    expect(directionsPerHead(attention, 128 * 1024)).toBe(128);
  });

  it("is no less than the unfolded head, and no more than the latent", () => {
    expect(directionsPerHead(attention, 1024)).toBe(64);
    expect(directionsPerHead(attention, 1024 * 1024)).toBe(256);
    expect(directionsPerHead({ ...attention, values: { heads: 4, size: 32 } }, 1024)).toBe(32);
  });
});

describe("narrowOutput", () => {
  it.each([HEAD, HEAD + 2, RANK])("is the same map in %i directions, and comes back", async (size) => {
    const attention = foldedAttention();
    const narrow = await narrowOutput(attention, size, plainProducts);
    expect(narrow.output.inputs).toBe(HEADS * size);
    const wide = await widenOutput(narrow, attention, plainProducts);
    // Float32 weights of a few units, rounded twice.
    expect(largestDifference(wide.weight, attention.output.weight)).toBeLessThan(1e-5);
  });

  it.each([
    ["a head", foldedAttention()],
    ["a dead head", withWeight(foldedAttention(), new Float32Array(HEADS * RANK * HIDDEN))],
    ["a head that reads a single direction", withWeight(foldedAttention(), readsSecondCoordinate())],
  ])("takes directions that are orthonormal: %s", async (_, attention) => {
    const size = HEAD + 2;
    const { directions } = await narrowOutput(attention, size, plainProducts);
    const first = fromFloat32(RANK, size, directions.matrices.subarray(0, RANK * size));
    const gram = transposeMultiply(first, first);
    const identity = Array.from({ length: size * size }, (_, i) => Number(i % (size + 1) === 0));
    // Rounded to float32.
    expect(largestDifference(gram.data, identity)).toBeLessThan(1e-6);
  });

  it.each([
    ["as many as a head has", HEAD, 1],
    ["more", HEAD + 2, 1],
    ["those of a head whose output is dead", HEAD, 0],
  ])("reads a joint latent in directions of its own: %s", async (_, size, gain) => {
    const next = gaussians(7);
    const random = (count: number) => Float32Array.from({ length: count }, () => next());
    const decodeValues = random(HEADS * RANK * HEAD);
    const weight = random(HEADS * HEAD * HIDDEN).map((value) => gain * value);
    const output = { inputs: HEADS * HEAD, outputs: HIDDEN, weight, bias: undefined };
    const attention = { heads: HEADS, headDim: HEAD, output, joint: { decodeValues } };
    const narrow = await narrowOutput(attention as unknown as AttentionWeights, size, plainProducts);
    for (let head = 0; head < HEADS; head++) {
      const part = (values: Float32Array, rows: number, cols: number) =>
        fromFloat32(rows, cols, values.subarray(head * rows * cols, (head + 1) * rows * cols));
      const directions = part(narrow.directions.matrices, RANK, size);
      const read = multiply(part(decodeValues, RANK, HEAD), part(weight, HEAD, HIDDEN));
      const back = multiply(directions, part(narrow.output.weight, size, HIDDEN));
      // Rounded to float32, values of a few units.
      expect(largestDifference(back.data, read.data)).toBeLessThan(1e-5);
      const gram = transposeMultiply(directions, directions);
      expect(largestDifference(gram.data, identity(size).data)).toBeLessThan(1e-6);
    }
  });
});
