import { float32Value } from "@kvfold/onnx";
import type { Emitter } from "./emitter.js";
import { emitKeyPositions } from "./key-positions.js";
import { MASKED, type ScoreBiasNeeds } from "./positions.js";

/** Where each query and key stands: what a score bias is made of. */
export interface ScorePositions {
  /** int64 `[S]`, index of each query among all tokens. */
  readonly queryIndex: string;
  /** int64 `[T]`, index of each key among all tokens. */
  readonly keyIndex: string;
  /** int64 `[B, T]`, 1 for real tokens and 0 for padding; absent without padding. */
  readonly attentionMask: string | undefined;
}

/**
 * The bias that plain attention adds to its scores, float32, broadcast to `[B, H, S, T]`: 0 or the ALiBi term for
 * keys a query may see, `MASKED` for the others.
 */
export function emitScoreBias(e: Emitter, positions: ScorePositions, needs: ScoreBiasNeeds): string {
  const visible = emitVisible(e, positions, needs.window);
  const base =
    needs.alibiSlopes === undefined ? e.scalar(0, "float32") : emitAlibi(e, positions, needs.alibiSlopes);
  return e.node("Where", "Where", [visible, base, e.scalar(MASKED, "float32")]);
}

/** bool `[B, 1, S, T]` (B = 1 without padding): not ahead of the query, within its window, no padding. */
function emitVisible(e: Emitter, positions: ScorePositions, window: number | undefined): string {
  const query = e.node("Unsqueeze", "query/Unsqueeze", [positions.queryIndex, e.graph.int64([1])]);
  let visible = e.node("LessOrEqual", "causal/LessOrEqual", [positions.keyIndex, query]);
  if (window !== undefined) {
    const oldest = e.node("Sub", "window/Sub", [query, e.graph.int64([window], [])]);
    visible = e.node("And", "window/And", [
      visible,
      e.node("Greater", "window/Greater", [positions.keyIndex, oldest]),
    ]);
  }
  if (positions.attentionMask === undefined) return visible;
  const mask = e.cast("padding/Cast", positions.attentionMask, "bool");
  const keys = e.node("Unsqueeze", "padding/Unsqueeze", [mask, e.graph.int64([1, 2])]);
  return e.node("And", "padding/And", [visible, keys]);
}

/**
 * ALiBi, float32 `[B, H, 1, T]`: `slope_h * position of the key`. It equals the published `-slope * distance` up to a
 * constant per query, which softmax ignores. Positions count real tokens only, as in Hugging Face's BLOOM.
 */
function emitAlibi(e: Emitter, positions: ScorePositions, slopes: readonly number[]): string {
  const part = e.at("alibi");
  const slope = part.graph.constant(
    "alibi.slopes",
    float32Value([1, slopes.length, 1, 1], Float32Array.from(slopes)),
  );
  const index = part.cast("Cast", emitKeyPosition(part, positions), "float32");
  const keys =
    positions.attentionMask === undefined
      ? index
      : part.node("Unsqueeze", "Unsqueeze", [index, e.graph.int64([1, 2])]);
  return part.node("Mul", "Mul", [keys, slope]);
}

/** int64 `[B, T]` with padding, else `[T]`. */
const emitKeyPosition = (e: Emitter, { keyIndex, attentionMask }: ScorePositions): string =>
  attentionMask === undefined ? keyIndex : emitKeyPositions(e, attentionMask);
