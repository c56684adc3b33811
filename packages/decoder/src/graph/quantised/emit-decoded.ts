import { tensorValue } from "@kvfold/onnx";
import type { CacheCoding } from "@kvfold/runtime";
import type { Emitter } from "../emitter.js";
import type { CodedRows } from "./coded-rows.js";
import { emitUngrouped } from "./emit-groups.js";
import { emitGraphFloat } from "./emit-widths.js";

/** A byte in the graph. */
export const emitByte = (e: Emitter, value: number): string =>
  e.graph.constant(`constants/uint8/${value}`, tensorValue("uint8", [], Uint8Array.of(value)));

/** A code for each number, uint8 `[B, heads * groups, P, width / groups]`. */
export function emitUnpacked(e: Emitter, { past, shape: { coding } }: CodedRows): string {
  if (coding.perByte === 1) return past;
  // Codes of four bits are read in the upper half of a byte: what is shifted out of it is the other one.
  const low = e.node("BitShift", "low/BitShift", [past, emitByte(e, 4)], {
    attributes: { direction: "LEFT" },
  });
  const high = e.node("BitwiseAnd", "high/BitwiseAnd", [past, emitByte(e, 0xf0)]);
  return e.node("Concat", "Concat", [low, high], { attributes: { axis: 3 } });
}

/** Unpacked codes less their zero point, float32. */
export function emitCentred(e: Emitter, codes: string, { zeroPoint }: CacheCoding): string {
  return e.node("Sub", "centred/Sub", [e.cast("Cast", codes, "float32"), e.scalar(zeroPoint, "float32")]);
}

/** Past rows as numbers, `[B, heads, P, width]`: for many queries at once it pays to have them. */
export function emitDecodedPast(e: Emitter, rows: CodedRows): string {
  const centred = emitCentred(e, emitUnpacked(e.at("codes"), rows), rows.shape.coding);
  const scales = e.cast("scales/Cast", rows.pastScales, "float32");
  const decoded = e.node("Mul", "Mul", [centred, scales]);
  const numbers = emitGraphFloat(e, emitUngrouped(e.at("heads"), decoded, rows.shape));
  return rows.pastMeans === undefined ? numbers : e.node("Add", "means/Add", [numbers, rows.pastMeans]);
}

/** Scales of past rows beside each other, float32 `[B, heads * groups, 1, P]`: factors of their scores or shares. */
export function emitScalesByRow(e: Emitter, { shape: { heads, groups }, pastScales }: CodedRows): string {
  const byRow = e.reshape("scales/Reshape", pastScales, [0, heads * groups, 1, -1]);
  return e.cast("scales/Cast", byRow, "float32");
}

/** Past and new rows as numbers. */
export const emitDecoded = (e: Emitter, rows: CodedRows): string =>
  e.node("Concat", "whole/Concat", [emitDecodedPast(e.at("past"), rows), rows.fresh], {
    attributes: { axis: 2 },
  });
