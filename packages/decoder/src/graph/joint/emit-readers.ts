import type { CacheCoding } from "@kvfold/runtime";
import type { AttentionWeights, JointLatent } from "../../model/decoder-weights.js";
import { emitSlice } from "../emit-slice.js";
import type { Emitter } from "../emitter.js";
import { codedShape } from "../quantised/coded-shape.js";
import { emitRotatedReaders } from "../quantised/emit-group-rotation.js";
import { emitReadersOfUnits } from "../quantised/emit-latent-units.js";
import type { LatentUnits } from "../quantised/latent-units.js";
import { unitsOf } from "../quantised/units-of.js";
import { jointShape } from "./joint-shape.js";

/**
 * The matrices that read a joint latent, as values of a graph. A file holds the first two; the others are rearranged from
 * them, which ONNX Runtime does once, when it opens the model.
 */
export interface JointReaders {
  /** `[groups, r, s * d]`, without groups where there is one: from latents to the keys of their group. */
  readonly keys: string;
  /** `[H, r, n]`: from averaged latents to what each query head gives. */
  readonly heads: string;
  /** `n`. */
  readonly width: number;
  /** `[groups, r, H / groups * n]`, without groups where there is one: from latents to what all heads of a group read. */
  readonly values: () => string;
  /** `[Hkv * rotaryDim / 2, 2, r]`: a row for both numbers of each pair, from queries to latents. */
  readonly queryPairs: () => string;
  /** `[Hkv, d - rotaryDim, r]`: the same for the numbers of a head that do not turn. */
  readonly unturnedQueries: () => string;
  /** The units of the latents that they read, where these are quantised in units of their own. */
  readonly units: LatentUnits | undefined;
}

/** @param coding - How latents are cached, where they are quantised: readers of rotated ones are rotated. */
export function emitReaders(
  e: Emitter,
  weights: AttentionWeights,
  joint: JointLatent,
  coding?: CacheCoding,
): JointReaders {
  const { heads, kvHeads, headDim, rope } = weights;
  const { heads: groups, size: rank } = jointShape(weights);
  const span = kvHeads / groups;
  const readers = heads / groups;
  const size = joint.decodeValues.length / (heads * rank);
  const outer = groups === 1 ? [] : [groups];
  const shape = coding && codedShape(jointShape(weights), coding);
  const units = shape && unitsOf(weights, joint, shape);
  const read = (at: Emitter, data: Float32Array, outer: readonly number[], width: number) => {
    const stored = at.floats("decode", [...outer, rank, width], data);
    if (shape === undefined) return stored;
    return units === undefined
      ? emitRotatedReaders(at, stored, shape, { outer, width })
      : emitReadersOfUnits(at, stored, units, { shape, dims: outer, width });
  };
  const keys = read(e.at("k_expansion"), joint.decodeKeys, outer, span * headDim);
  const byHead = read(e.at("v_expansion"), joint.decodeValues, [heads], size);
  const rotaryDim = rope?.rotaryDim ?? 0;
  return {
    keys,
    heads: byHead,
    width: size,
    units,
    values() {
      const at = e.at("v_expansion");
      const split = at.reshape("groups/Reshape", byHead, [groups, readers, rank, size]);
      const sideBySide = at.transpose("groups/Transpose", split, [0, 2, 1, 3]);
      return at.reshape("readers/Reshape", sideBySide, [...outer, rank, readers * size]);
    },
    queryPairs() {
      const at = e.at("q_reader");
      const half = rotaryDim / 2;
      const rows = emitQueryRows(at, keys, { groups, span, rank, headDim });
      const firsts = emitSlice(at.at("first"), rows, 1, 0, half);
      const seconds = emitSlice(at.at("second"), rows, 1, half, rotaryDim);
      const apart = [firsts, seconds].map((part, index) =>
        at.node("Unsqueeze", `${index}/Unsqueeze`, [part, e.graph.int64([2])]),
      );
      const pairs = at.node("Concat", "Concat", apart, { attributes: { axis: 2 } });
      return at.reshape("pairs/Reshape", pairs, [kvHeads * half, 2, rank]);
    },
    unturnedQueries() {
      const at = e.at("q_reader.unturned");
      const rows = emitQueryRows(at, keys, { groups, span, rank, headDim });
      return emitSlice(at, rows, 1, rotaryDim, headDim);
    },
  };
}

/** `[Hkv, d, r]` from the readers of keys. */
function emitQueryRows(
  e: Emitter,
  keys: string,
  { groups, span, rank, headDim }: Readonly<Record<"groups" | "span" | "rank" | "headDim", number>>,
): string {
  const split = e.reshape("rows/split/Reshape", keys, [groups, rank, span, headDim]);
  const turned = e.transpose("rows/Transpose", split, [0, 2, 3, 1]);
  return e.reshape("rows/Reshape", turned, [groups * span, headDim, rank]);
}
