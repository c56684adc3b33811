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
  return emitMasked(e, visible, needs, (at) => emitKeyIndex(at, positions));
}

/**
 * 0, or with slopes the ALiBi term, where `visible`; `MASKED` elsewhere. ALiBi is `slope_h * position of the key`, which
 * equals the published `-slope * distance` up to a constant per query, which softmax ignores.
 *
 * @param emitKeys - Positions of keys, int64 `[T]` or `[B, 1, 1, T]`; with groups `[B, groups, 1, 1, T]`.
 * @param groups - Runs of heads that `visible` has a dimension of its own for, before that of the heads of a run.
 */
export function emitMasked(
  e: Emitter,
  visible: string,
  { alibiSlopes }: ScoreBiasNeeds,
  emitKeys: (e: Emitter) => string,
  groups?: number,
): string {
  const base =
    alibiSlopes === undefined
      ? e.scalar(0, "float32")
      : emitAlibi(e.at("alibi"), alibiSlopes, emitKeys, groups);
  return e.node("Where", "Where", [visible, base, e.scalar(MASKED, "float32")]);
}

/** float32 `[B, H, 1, T]`, or `[B, groups, H / groups, 1, T]`. */
function emitAlibi(
  e: Emitter,
  slopes: readonly number[],
  emitKeys: (e: Emitter) => string,
  groups?: number,
): string {
  const heads = groups === undefined ? [slopes.length] : [groups, slopes.length / groups];
  const name = groups === undefined ? "alibi.slopes" : `alibi.slopes.${groups}`;
  const slope = e.graph.constant(name, float32Value([1, ...heads, 1, 1], Float32Array.from(slopes)));
  return e.node("Mul", "Mul", [e.cast("Cast", emitKeys(e), "float32"), slope]);
}

/** Adds to what queries may see that keys are within the window before them; positions broadcast to `[.., S, T]`. */
export function emitWithin(
  e: Emitter,
  visible: string,
  { query, key }: { readonly query: string; readonly key: string },
  window: number | undefined,
): string {
  if (window === undefined) return visible;
  const oldest = e.node("Sub", "window/Sub", [query, e.graph.int64([window], [])]);
  return e.node("And", "window/And", [visible, e.node("Greater", "window/Greater", [key, oldest])]);
}

/** bool `[B, 1, S, T]` (B = 1 without padding): not ahead of the query, within its window, no padding. */
function emitVisible(e: Emitter, positions: ScorePositions, window: number | undefined): string {
  const query = e.node("Unsqueeze", "query/Unsqueeze", [positions.queryIndex, e.graph.int64([1])]);
  const causal = e.node("LessOrEqual", "causal/LessOrEqual", [positions.keyIndex, query]);
  const visible = emitWithin(e, causal, { query, key: positions.keyIndex }, window);
  if (positions.attentionMask === undefined) return visible;
  const mask = e.cast("padding/Cast", positions.attentionMask, "bool");
  const keys = e.node("Unsqueeze", "padding/Unsqueeze", [mask, e.graph.int64([1, 2])]);
  return e.node("And", "padding/And", [visible, keys]);
}

/**
 * int64 `[B, 1, 1, T]` with padding, else `[T]`: where keys stand. Positions count real tokens only, as in Hugging Face's
 * BLOOM.
 */
function emitKeyIndex(e: Emitter, { keyIndex, attentionMask }: ScorePositions): string {
  if (attentionMask === undefined) return keyIndex;
  return e.node("Unsqueeze", "Unsqueeze", [emitKeyPositions(e, attentionMask), e.graph.int64([1, 2])]);
}
