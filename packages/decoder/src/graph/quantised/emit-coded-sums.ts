import { float32Value } from "@kvfold/onnx";
import type { Emitter } from "../emitter.js";
import type { CodedRows } from "./coded-rows.js";
import { emitByte, emitScalesByRow, emitUnpacked } from "./emit-decoded.js";
import { emitUngrouped } from "./emit-groups.js";
import { emitFloat32, emitGraphFloat } from "./emit-widths.js";
import { weightsOfDigits } from "./weights-of-digits.js";

/**
 * Shares are sums of three digits of base 256, as exact as float32: where one token has most of the attention, those of
 * thousands of others are far below the first two.
 */
const DIGITS = 3;
const BASE = 256;
/** Just below 256, so that the first digit of the largest share is a byte. */
const LARGEST = 255.9;
/** Where no past token is seen there is no largest share. */
const SMALLEST = 1e-30;

/**
 * Past rows weighed by shares `[B, heads, N, P]`: `[B, heads, N, width]`. Scales of rows go to the shares, and the products
 * are of integers.
 */
export function emitCodedSums(e: Emitter, shares: string, rows: CodedRows, count: number): string {
  const { shape } = rows;
  const { coding } = shape;
  const weighed = emitScaledShares(e.at("shares"), shares, rows, count);
  const { digits, scale } = emitDigits(e.at("shares"), weighed);
  const codes = emitUnpacked(e.at("codes"), rows);
  const zeros = [emitByte(e, 0), emitByte(e, coding.zeroPoint)];
  const products = e.node("MatMulInteger", "MatMulInteger", [digits, codes, ...zeros]);
  const values = Array.from({ length: DIGITS }, (_, digit) => BASE ** -digit);
  const weights = float32Value([count, DIGITS * count], weightsOfDigits(count, values));
  const table = e.graph.constant(`constants/share_digits/${count}`, weights);
  const factors = e.node("Mul", "factors/Mul", [scale, table]);
  const sums = e.node("MatMul", "joined/MatMul", [factors, e.cast("sums/Cast", products, "float32")]);
  return emitGraphFloat(e, emitUngrouped(e.at("groups"), sums, shape));
}

/** Shares times the scale of each row: `[B, heads * groups, N, P]`, float32. */
function emitScaledShares(e: Emitter, shares: string, rows: CodedRows, count: number): string {
  const { heads, groups } = rows.shape;
  const wide = emitFloat32(e, shares);
  const scales = emitScalesByRow(e, rows);
  if (groups === 1) return e.node("Mul", "Mul", [wide, scales]);
  const repeated = e.node("Unsqueeze", "Unsqueeze", [wide, e.graph.int64([2])]);
  const split = e.reshape("scales/split/Reshape", scales, [0, heads, groups, -1]);
  const apart = e.node("Unsqueeze", "scales/Unsqueeze", [split, e.graph.int64([3])]);
  const products = e.node("Mul", "Mul", [repeated, apart]);
  const flat = e.reshape("flat/Reshape", products, [0, heads * groups, -1]);
  return e.reshape("Reshape", flat, [0, 0, count, -1]);
}

/** Digits of numbers from 0, uint8 `[.., 3 N, P]`, and a scale `[.., N, 1]`. */
function emitDigits(e: Emitter, shares: string): { readonly digits: string; readonly scale: string } {
  const most = e.node("ReduceMax", "ReduceMax", [shares, e.graph.int64([-1])]);
  const raised = e.node("Max", "Max", [most, e.scalar(SMALLEST, "float32")]);
  const scale = e.node("Mul", "scale/Mul", [raised, e.scalar(1 / LARGEST, "float32")]);
  const digits: string[] = [];
  let rest = e.node("Div", "Div", [shares, scale]);
  for (let index = 0; index < DIGITS; index++) {
    const at = e.at(`digit.${index}`);
    const digit = at.cast("Cast", rest, "uint8");
    digits.push(digit);
    if (index === DIGITS - 1) break;
    const below = at.node("Sub", "Sub", [rest, at.cast("back/Cast", digit, "float32")]);
    rest = at.node("Mul", "Mul", [below, e.scalar(BASE, "float32")]);
  }
  return { digits: e.node("Concat", "Concat", digits, { attributes: { axis: 2 } }), scale };
}
