import { gaussians } from "@kvfold/runtime";
import type { AttentionWeights, JointLatent, Linear } from "../../src/model/decoder-weights.js";

export declare namespace withJointLatent {
  interface Options {
    /** Heads that share a latent; divides the KV heads. */
    readonly span: number;
    /** `[rotaryDim / 2]`. */
    readonly chunks: readonly number[];
    /** Numbers of a latent: all that keys and values of its heads have, unless said otherwise. */
    readonly rank?: number;
    /** Whether keys are encoded by their projection, where that can be. */
    readonly encodedByProjection?: boolean;
  }
}

/**
 * An unfolded layer with latents in a random orthogonal basis: of full rank nothing is lost, so it computes what the layer
 * does.
 */
export function withJointLatent(
  attention: AttentionWeights,
  options: withJointLatent.Options,
): AttentionWeights {
  const { span, chunks, encodedByProjection } = options;
  const { kvHeads, headDim, heads } = attention;
  const width = span * headDim;
  const bases = jointBases(attention, options);
  const groups = bases.length;
  const rank = bases[0]![0]!.length;
  const encode = (first: number) => bases.map((basis) => basis.slice(first, first + width));
  const [keyRows, valueRows] = [encode(0), encode(width)];
  const half = { heads: groups, size: rank / 2 };
  const joint: JointLatent = {
    chunks,
    encodeKeys: encodedByProjection ? undefined : floats(keyRows.flat()),
    decodeKeys: floats(keyRows.flatMap(transposed)),
    decodeValues: floats(
      Array.from({ length: heads }, (_, head) => {
        const kvHead = Math.floor(head / (heads / kvHeads));
        const first = (kvHead % span) * headDim;
        return transposed(valueRows[Math.floor(kvHead / span)]!.slice(first, first + headDim));
      }).flat(),
    ),
  };
  return {
    ...attention,
    keys: half,
    values: half,
    key: encodedByProjection ? encodeLinear(attention.key, keyRows) : attention.key,
    value: encodeLinear(attention.value, valueRows),
    joint,
  };
}

/** For each group of heads the columns, `[2 s * d, r]`, that keys and values are taken into and back from. */
export const jointBases = (
  { kvHeads, headDim }: Pick<AttentionWeights, "kvHeads" | "headDim">,
  { span, rank = 2 * span * headDim }: Pick<withJointLatent.Options, "span" | "rank">,
): readonly Rows[] =>
  Array.from({ length: kvHeads / span }, (_, group) =>
    orthogonalColumns(2 * span * headDim, rank, group + 1),
  );

type Rows = readonly (readonly number[])[];

const floats = (rows: Rows): Float32Array => Float32Array.from(rows.flat());

const transposed = (rows: Rows): number[][] => rows[0]!.map((_, column) => rows.map((row) => row[column]!));

/** `[rows, columns]` with orthonormal columns, by Gram and Schmidt, twice for accuracy. */
function orthogonalColumns(rows: number, columns: number, seed: number): number[][] {
  const next = gaussians(seed);
  const vectors: number[][] = [];
  for (let column = 0; column < columns; column++) {
    let vector = Array.from({ length: rows }, () => next());
    for (let pass = 0; pass < 2; pass++)
      for (const other of vectors) {
        const along = dot(vector, other);
        vector = vector.map((value, index) => value - along * other[index]!);
      }
    const norm = Math.sqrt(dot(vector, vector));
    vectors.push(vector.map((value) => value / norm));
  }
  return transposed(vectors);
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, index) => sum + value * b[index]!, 0);

/** A projection to heads, each group of them times its matrix. */
function encodeLinear({ inputs, outputs, weight, bias }: Linear, groups: readonly Rows[]): Linear {
  const width = outputs / groups.length;
  const encodeRow = (row: Float32Array) =>
    groups.flatMap((rows, group) => {
      const part = row.subarray(group * width, (group + 1) * width);
      return rows[0]!.map((_, column) => part.reduce((sum, value, i) => sum + value * rows[i]![column]!, 0));
    });
  const encoded = Array.from({ length: inputs }, (_, row) =>
    encodeRow(weight.subarray(row * outputs, (row + 1) * outputs)),
  );
  return {
    inputs,
    outputs: encoded[0]!.length,
    weight: floats(encoded),
    bias: bias && Float32Array.from(encodeRow(bias)),
  };
}
