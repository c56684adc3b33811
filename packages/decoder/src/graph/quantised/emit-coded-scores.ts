import { float32Value } from "@kvfold/onnx";
import type { Emitter } from "../emitter.js";
import type { CodedRows } from "./coded-rows.js";
import { emitByte, emitScalesByRow, emitUnpacked } from "./emit-decoded.js";
import { emitGroups } from "./emit-groups.js";
import { emitFloat32, emitGraphFloat } from "./emit-widths.js";
import { weightsOfDigits } from "./weights-of-digits.js";

/** Queries are sums of two digits of base 256: a scale, and 16 bits. */
const BASE = 256;
const LARGEST = 127 * BASE;
/** A query of zeros has no scale of its own. */
const SMALLEST = 1e-30;

/**
 * Scores of `N` queries `[B, heads, N, width]` of each head, with their factor, with the codes of past rows: `[B, heads, N, P]`.
 * The products are of integers, so no row becomes a float; scales go to what comes out.
 */
export function emitCodedScores(e: Emitter, queries: string, rows: CodedRows, count: number): string {
  const { shape } = rows;
  const { coding, heads, groups } = shape;
  const wide = emitFloat32(e.at("queries"), emitGroups(e.at("queries/groups"), queries, shape));
  const { digits, scale } = emitDigits(e.at("queries"), wide);
  const codes = emitUnpacked(e.at("codes"), rows);
  const products = e.node("MatMulInteger", "MatMulInteger", [
    codes,
    digits,
    emitByte(e, coding.zeroPoint),
    emitByte(e, 128),
  ]);
  const sums = e.transpose("sums/Transpose", e.cast("sums/Cast", products, "float32"), [0, 1, 3, 2]);
  const weights = float32Value([count, 2 * count], weightsOfDigits(count, [BASE, 1]));
  const factors = e.node("Mul", "factors/Mul", [
    scale,
    e.graph.constant(`constants/score_digits/${count}`, weights),
  ]);
  const unscaled = e.node("MatMul", "joined/MatMul", [factors, sums]);
  const scores = e.node("Mul", "Mul", [unscaled, emitScalesByRow(e, rows)]);
  return emitGraphFloat(e, emitGroupSums(e.at("groups"), scores, heads, groups, count));
}

/** Sums over the groups of each head, `[B, heads * groups, N, P]` to `[B, heads, N, P]`. */
function emitGroupSums(e: Emitter, scores: string, heads: number, groups: number, count: number): string {
  if (groups === 1) return scores;
  const split = e.reshape("split/Reshape", scores, [0, heads, groups, -1]);
  return e.reshape("Reshape", e.node("ReduceSum", "ReduceSum", [split, e.graph.int64([2])]), [
    0,
    heads,
    count,
    -1,
  ]);
}

/** Two digits of each number, uint8 `[B, heads, n, 2 N]` around 128, and a scale `[B, heads, N, 1]`. */
function emitDigits(e: Emitter, queries: string): { readonly digits: string; readonly scale: string } {
  const float = (value: number) => e.scalar(value, "float32");
  const most = e.node("ReduceMax", "ReduceMax", [e.node("Abs", "Abs", [queries]), e.graph.int64([-1])]);
  const raised = e.node("Max", "Max", [most, float(SMALLEST)]);
  const scale = e.node("Mul", "scale/Mul", [raised, float(1 / LARGEST)]);
  const whole = e.node("Round", "Round", [e.node("Div", "Div", [queries, scale])]);
  const shares = e.node("Mul", "high/Mul", [whole, float(1 / BASE)]);
  const high = e.node("Floor", "high/Floor", [e.node("Add", "high/Add", [shares, float(0.5)])]);
  const low = e.node("Sub", "low/Sub", [whole, e.node("Mul", "low/Mul", [high, float(BASE)])]);
  const both = e.node("Concat", "Concat", [high, low], { attributes: { axis: 2 } });
  const bytes = e.cast("Cast", e.node("Add", "Add", [both, float(128)]), "uint8");
  return { digits: e.transpose("Transpose", bytes, [0, 1, 3, 2]), scale };
}
