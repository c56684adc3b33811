import type { DecodingState } from "./decoding-state.js";

/**
 * Why moving all positions of a model measures nothing:
 *
 * - `no-position-input`: the graph has no input `position_ids`, so a shift would have no effect. So it is with ALiBi.
 * - `absolute-positions`: a single token is predicted from differently at another position. Positions are learned, and
 *   every shift is another input.
 * - `positions-from-mask`: cached keys hold no position, and where they are read the graph counts their positions from
 *   the attention mask. `position_ids` would move queries alone.
 */
export type ShiftObstacle = "no-position-input" | "absolute-positions" | "positions-from-mask";

export declare namespace findShiftObstacle {
  interface Limits {
    readonly vocabularySize: number | undefined;
    readonly maxPositions: number;
  }
}

/** Far enough to tell positions apart, and within the text length at which any rotation changes its frequencies. */
const FAR = 64;
/** Logits that differ by less of their largest are the same but for rounding in float32. */
const SAME = 1e-5;
/** The same, for rotations by tables that are rounded to float16. */
const ALIKE = 1e-2;

/**
 * Finds out by three comparisons, each of the logits after one or two tokens:
 *
 * 1. A single token attends to itself alone. Its logits depend on its position only if positions are absolute.
 * 2. A token at `FAR`, then one at 1. If the logits are those of positions 0 and 1, the cached key holds no position.
 * 3. Only then: both tokens moved by `FAR`. If the logits are not those of positions 0 and 1, the cached key stayed where it was.
 */
export async function findShiftObstacle(
  stateAt: (positionOf: (index: number) => number) => DecodingState,
  { vocabularySize = 8, maxPositions }: findShiftObstacle.Limits,
): Promise<ShiftObstacle | undefined> {
  const far = Math.min(FAR, maxPositions - 2);
  if (far < 1) return undefined;
  // Ordinary tokens: the first of a vocabulary are special, the last may be padding.
  const tokens = [Math.floor(vocabularySize / 3), Math.floor((2 * vocabularySize) / 3)];
  const logitsAt = (...positions: readonly number[]) => lastLogits(stateAt, tokens, positions);
  if (difference(await logitsAt(far), await logitsAt(0)) > ALIKE) return "absolute-positions";
  const near = await logitsAt(0, 1);
  if (difference(await logitsAt(far, 1), near) > SAME) return undefined;
  return difference(await logitsAt(far, far + 1), near) > ALIKE ? "positions-from-mask" : undefined;
}

/** Decodes as many tokens as there are positions, one at a time, and returns the last logits. */
async function lastLogits(
  stateAt: (positionOf: (index: number) => number) => DecodingState,
  tokens: readonly number[],
  positions: readonly number[],
): Promise<Float32Array> {
  const state = stateAt((index) => positions[index]!);
  try {
    let logits: Float32Array = new Float32Array();
    for (const token of tokens.slice(0, positions.length)) logits = await state.decode(token);
    return logits.slice();
  } finally {
    state.dispose();
  }
}

/** Largest difference over the largest logit of `b`. */
function difference(a: Float32Array, b: Float32Array): number {
  const largest = (values: Float32Array): number =>
    values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const gap = largest(a.map((value, index) => value - b[index]!));
  return gap === 0 ? 0 : gap / largest(b);
}
