import { ropeFrequencies } from "@kvfold/rope";
import type { AttentionWeights } from "../../src/model/decoder-weights.js";
import type { Attended, Seen } from "./decoder.js";
import { type Rows, zeroRows } from "./layers.js";

/** How a reference decoder passes keys and values through joint latents. */
export interface JointPass {
  readonly attention: Pick<AttentionWeights, "kvHeads" | "headDim" | "rope">;
  readonly chunks: readonly number[];
  /** `[2 s * d, r]` for each group, with orthonormal columns. */
  readonly bases: readonly (readonly (readonly number[])[])[];
}

/** Keys and values as a layer with joint latents attends to them: expanded one by one, in float64. */
export function throughJointLatents(
  { keysBeforeRope, values }: Seen,
  { attention, chunks, bases }: JointPass,
): Attended {
  const { kvHeads, headDim } = attention;
  const width = (kvHeads / bases.length) * headDim;
  const local = turnPairs(keysBeforeRope, attention, (slot, pair) => slot % chunks[pair]!);
  const [keys, decoded] = [zeroRows(values.count, values.width), zeroRows(values.count, values.width)];
  for (let row = 0; row < values.count; row++)
    for (const [group, basis] of bases.entries()) {
      const first = row * values.width + group * width;
      const both = [local, values].flatMap(({ data }) => [...data.subarray(first, first + width)]);
      const latent = basis[0]!.map((_, column) =>
        both.reduce((sum, x, i) => sum + x * basis[i]![column]!, 0),
      );
      const back = basis.map((columns) => columns.reduce((sum, x, column) => sum + x * latent[column]!, 0));
      keys.data.set(back.slice(0, width), first);
      decoded.data.set(back.slice(width), first);
    }
  const turned = turnPairs(keys, attention, (slot, pair) => slot - (slot % chunks[pair]!));
  return { keys: turned, values: decoded };
}

/** Turns pair j of each head of row `n` by `theta_j * placeOf(n, j)`; without an attention factor. */
function turnPairs(
  x: Rows,
  { rope, headDim }: JointPass["attention"],
  placeOf: (slot: number, pair: number) => number,
): Rows {
  if (rope === undefined) return x;
  const { inverseFrequencies } = ropeFrequencies(rope, x.count);
  const half = rope.rotaryDim / 2;
  const data = x.data.slice();
  for (let row = 0; row < x.count; row++)
    for (let head = row * x.width; head < (row + 1) * x.width; head += headDim)
      for (let pair = 0; pair < half; pair++) {
        const angle = placeOf(row, pair) * inverseFrequencies[pair]!;
        const [a, b] = [x.data[head + pair]!, x.data[head + half + pair]!];
        data[head + pair] = a * Math.cos(angle) - b * Math.sin(angle);
        data[head + half + pair] = b * Math.cos(angle) + a * Math.sin(angle);
      }
  return { ...x, data };
}
