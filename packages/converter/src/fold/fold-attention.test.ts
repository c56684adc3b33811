import type { AttentionWeights, Linear } from "@kvfold/decoder";
import { loadBlock } from "@kvfold/decoder";
import { createMatrix, fromFloat32, multiply, projector, slice } from "@kvfold/linalg";
import { gaussians } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import {
  syntheticCheckpoint,
  tinyBloom,
  tinyLlama,
} from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { largestDifference } from "../../test/support/numbers.js";
import type { Basis } from "../methods/method.js";
import { foldAttention } from "./fold-attention.js";

/** Bases of no particular kind: folding is algebra, and holds for any pair of matrices. */
function anyBases(count: number, width: number, rank: number, seed: number): Basis[] {
  const next = gaussians(seed);
  const fill = (rows: number, cols: number) =>
    createMatrix(
      rows,
      cols,
      Float64Array.from({ length: rows * cols }, () => next() / 4),
    );
  return Array.from({ length: count }, () => ({ encode: fill(width, rank), decode: fill(rank, width) }));
}

async function attentionOf(config: Readonly<Record<string, unknown>>): Promise<AttentionWeights> {
  return (await loadBlock(await syntheticCheckpoint({ config }), 0)).attention;
}

/** `x W + b` for one row, in float64. */
function apply({ inputs, outputs, weight, bias }: Linear, x: Float64Array): Float64Array {
  const { data } = multiply(createMatrix(1, inputs, x), fromFloat32(inputs, outputs, weight));
  return data.map((value, index) => value + (bias?.[index] ?? 0));
}

const row = (size: number, seed = 5): Float64Array => {
  const next = gaussians(seed);
  return Float64Array.from({ length: size }, () => next());
};

/** Float32 weights of size 1 and sums of about 50 terms. */
const TOLERANCE = 1e-5;

describe("foldAttention", () => {
  const grouped = { ...tinyLlama, model_type: "qwen2", num_attention_heads: 8, num_key_value_heads: 4 };

  it("folds values into their projection, biases too: v' = v[group] E", async () => {
    const attention = await attentionOf(grouped);
    const bases = { keys: anyBases(2, 32, 16, 1), values: anyBases(2, 32, 24, 2) };
    const folded = foldAttention(attention, bases);
    expect(folded.values).toEqual({ heads: 2, size: 24 });
    const x = row(32);
    const values = apply(attention.value, x);
    const expected = bases.values.flatMap(({ encode }, group) => [
      ...multiply(createMatrix(1, 32, values.slice(group * 32, group * 32 + 32)), encode).data,
    ]);
    expect(largestDifference(apply(folded.value, x), expected)).toBeLessThan(TOLERANCE);
  });

  it("folds decoding into W_O, each query head with the KV head that it reads", async () => {
    const attention = await attentionOf(grouped);
    const bases = { keys: anyBases(2, 32, 16, 1), values: anyBases(2, 32, 24, 2) };
    const folded = foldAttention(attention, bases);
    expect(folded.output).toMatchObject({ inputs: 8 * 24, outputs: 32, bias: undefined });
    const latents = row(8 * 24);
    // Query heads 0 and 1 read KV head 0, 2 and 3 KV head 1, and so on; KV heads 0 and 1 are group 0.
    const decoded = Array.from({ length: 8 }, (_, head) => {
      const kvHead = Math.floor(head / 2);
      const latent = createMatrix(1, 24, latents.slice(head * 24, head * 24 + 24));
      const { decode } = bases.values[Math.floor(kvHead / 2)]!;
      const start = (kvHead % 2) * 16;
      return [...slice(multiply(latent, decode), { cols: [start, start + 16] }).data];
    });
    const expected = apply(attention.output, Float64Array.from(decoded.flat()));
    expect(largestDifference(apply(folded.output, latents), expected)).toBeLessThan(TOLERANCE);
  });

  it("brings constants of values back as an output bias", async () => {
    const attention = await attentionOf(tinyLlama);
    const [plain] = [anyBases(2, 32, 16, 2)];
    const values = plain.map((basis, group) => ({ ...basis, offset: row(32, 10 + group) }));
    const folded = foldAttention(attention, { keys: plain, values });
    const expected = apply(attention.output, Float64Array.from(values.flatMap(({ offset }) => [...offset])));
    expect(largestDifference(folded.output.bias!, expected)).toBeLessThan(TOLERANCE);
  });

  it("leaves rotated keys and queries to two products at run time", async () => {
    const attention = await attentionOf(tinyLlama);
    const bases = { keys: anyBases(1, 64, 32, 1), values: anyBases(2, 32, 16, 2) };
    const folded = foldAttention(attention, bases);
    expect([folded.key, folded.query]).toEqual([attention.key, attention.query]);
    expect(folded.keys).toEqual({ heads: 1, size: 32 });
    const { encode, decode } = folded.rotated!;
    expect([encode.length, decode.length]).toEqual([64 * 32, 4 * 16 * 32]);
    // Score of head 2: (q F[:, 2]ᵀ) . (k E) = q . (k P)[head 2]
    const [query, keys] = [row(16, 6), row(64, 7)];
    const latentQuery = multiply(
      createMatrix(1, 16, query),
      fromFloat32(16, 32, decode.slice(2 * 512, 3 * 512)),
    );
    const latentKey = multiply(createMatrix(1, 64, keys), fromFloat32(64, 32, encode));
    const projected = multiply(createMatrix(1, 64, keys), projector(bases.keys[0]!)).data.slice(32, 48);
    expect(dot(latentQuery.data, latentKey.data)).toBeCloseTo(dot(query, projected), 4);
  });

  it("folds keys that stand before the rotation into their projection, and expands them: (k E) F = k P", async () => {
    const attention = await attentionOf(grouped);
    const keys = anyBases(2, 32, 12, 1).map((basis) => ({ ...basis, beforeRope: true }));
    const folded = foldAttention(attention, { keys, values: anyBases(4, 16, 8, 2) });
    expect(folded.query).toEqual(attention.query);
    expect(folded).toMatchObject({ keys: { heads: 2, size: 12 }, rotated: undefined });
    const x = row(32);
    const [latents, unfolded] = [apply(folded.key, x), apply(attention.key, x)];
    for (const [group, basis] of keys.entries()) {
      const latent = createMatrix(1, 12, latents.slice(group * 12, (group + 1) * 12));
      const decode = fromFloat32(
        12,
        32,
        folded.expanded!.decode.slice(group * 12 * 32, (group + 1) * 12 * 32),
      );
      const key = createMatrix(1, 32, unfolded.slice(group * 32, (group + 1) * 32));
      const expected = multiply(key, projector(basis)).data;
      expect(largestDifference(multiply(latent, decode).data, expected)).toBeLessThan(TOLERANCE);
    }
  });

  it("keeps one expansion where a layer's latents decode alike", async () => {
    const attention = await attentionOf(tinyLlama);
    const [basis] = anyBases(1, 16, 6, 1);
    const keys = Array.from({ length: 4 }, () => ({ ...basis!, beforeRope: true }));
    const { expanded, key } = foldAttention(attention, { keys, values: anyBases(4, 16, 8, 2) });
    expect(key.outputs).toBe(4 * 6);
    expect([...expanded!.decode]).toEqual([...Float32Array.from(basis!.decode.data)]);
  });

  it("folds such keys into W_Q where there is no rotation", async () => {
    const attention = await attentionOf(tinyBloom);
    const plain = { keys: anyBases(3, 16, 8, 1), values: anyBases(3, 16, 8, 2) };
    const early = { ...plain, keys: plain.keys.map((basis) => ({ ...basis, beforeRope: true })) };
    expect(foldAttention(attention, early)).toEqual(foldAttention(attention, plain));
  });

  it("folds keys without rotation away: (q') . (k') = q . (k P)", async () => {
    const attention = await attentionOf(tinyBloom);
    const bases = { keys: anyBases(3, 16, 8, 1), values: anyBases(3, 16, 8, 2) };
    const folded = foldAttention(attention, bases);
    expect(folded.rotated).toBeUndefined();
    const [x, y] = [row(48, 6), row(48, 7)];
    const [queries, keys] = [apply(attention.query, x), apply(attention.key, y)];
    const [foldedQueries, foldedKeys] = [apply(folded.query, x), apply(folded.key, y)];
    for (let head = 0; head < 6; head++) {
      const group = Math.floor(head / 2);
      const key = createMatrix(1, 16, keys.slice(group * 16, group * 16 + 16));
      const projected = multiply(key, projector(bases.keys[group]!)).data;
      const expected = dot(
        queries.slice(head * 8, head * 8 + 8),
        projected.slice((head % 2) * 8, (head % 2) * 8 + 8),
      );
      const latents = foldedKeys.slice(group * 8, group * 8 + 8);
      expect(dot(foldedQueries.slice(head * 8, head * 8 + 8), latents)).toBeCloseTo(expected, 4);
    }
  });
});

const dot = (a: Float64Array, b: Float64Array): number =>
  a.reduce((sum, value, index) => sum + value * b[index]!, 0);
