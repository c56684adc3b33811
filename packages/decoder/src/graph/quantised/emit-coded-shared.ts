import { emitSplitTokens } from "../emit-delta-attention.js";
import type { Emitter } from "../emitter.js";
import type { Positions } from "../positions.js";
import type { CodedRows } from "./coded-rows.js";

/** Past and new rows weighed by `shares [B, heads, N, P + S]`, of which `sumPast` weighs those of the past. */
export function emitCodedShared(
  e: Emitter,
  shares: string,
  { fresh }: CodedRows,
  positions: Positions,
  sumPast: (e: Emitter, shares: string) => string,
): string {
  const parts = emitSplitTokens(e.at("shares"), shares, positions);
  const past = sumPast(e.at("past"), parts.past);
  return e.node("Add", "Add", [past, e.node("MatMul", "fresh/MatMul", [parts.fresh, fresh])]);
}
