import { float32Value } from "@kvfold/onnx";
import { groupRotation } from "@kvfold/runtime";
import { transposeFloats } from "../../model/transpose.js";
import type { Emitter } from "../emitter.js";
import type { CodedShape } from "./coded-shape.js";
import { emitFloat32, emitGraphFloat } from "./emit-widths.js";

/** The rotation of groups of `size` numbers, or the way back: float32 `[size, size]`, for rows. */
function emitRotationOf(e: Emitter, size: number, way: "there" | "back"): string {
  const matrix = groupRotation(size);
  const data = way === "there" ? matrix : transposeFloats(matrix, size, size);
  return e.graph.constant(`constants/group_rotation/${size}/${way}`, float32Value([size, size], data));
}

/** Groups `[.., groupSize]`, float32, as they are coded. */
export const emitRotatedGroups = (e: Emitter, groups: string, { coding, groupSize }: CodedShape): string =>
  coding.isRotated
    ? e.node("MatMul", "rotated/MatMul", [groups, emitRotationOf(e, groupSize, "there")])
    : groups;

/**
 * Rows `[B, heads, N, size]` turned as cached rows are, for queries that meet these, or turned back. `heads` may be more than
 * those of the cache.
 */
export function emitRotatedRows(
  e: Emitter,
  rows: string,
  { coding, size, groups, groupSize }: CodedShape,
  { heads, way }: { readonly heads: number; readonly way: "there" | "back" },
): string {
  if (!coding.isRotated) return rows;
  const wide = emitFloat32(e.at("rotated"), rows);
  const matrix = emitRotationOf(e, groupSize, way);
  if (groups === 1)
    return emitGraphFloat(e.at("rotated"), e.node("MatMul", "rotated/MatMul", [wide, matrix]));
  const split = e.reshape("rotated/split/Reshape", wide, [0, heads, -1, groups, groupSize]);
  const turned = e.node("MatMul", "rotated/MatMul", [split, matrix]);
  return emitGraphFloat(e.at("rotated"), e.reshape("rotated/Reshape", turned, [0, heads, -1, size]));
}

/**
 * Matrices `[.., size, n]` that read rows, as ones that read rotated rows. ONNX Runtime does it once, when it opens the model.
 *
 * @param outer - Their dimensions before `size`.
 */
export function emitRotatedReaders(
  e: Emitter,
  readers: string,
  { coding, size, groups, groupSize }: CodedShape,
  { outer, width }: { readonly outer: readonly number[]; readonly width: number },
): string {
  if (!coding.isRotated) return readers;
  const split = e.reshape("rotated/split/Reshape", readers, [...outer, groups, groupSize, width]);
  const matrix = emitGraphFloat(e.at("rotated"), emitRotationOf(e, groupSize, "back"));
  const turned = e.node("MatMul", "rotated/MatMul", [matrix, split]);
  return e.reshape("rotated/Reshape", turned, [...outer, size, width]);
}
