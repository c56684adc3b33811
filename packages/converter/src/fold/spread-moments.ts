import type { StageMoments } from "@kvfold/calibration";
import type { AttentionWeights } from "@kvfold/decoder";
import type { Moments } from "@kvfold/linalg";
import { ropeFrequencies } from "@kvfold/rope";
import { type Tap, unturnedTaps } from "../graph/taps.js";
import { turnedByRope } from "./turned-by-rope.js";

/** What the moments of a layer are spread with. */
export interface Spread {
  readonly attention: Pick<AttentionWeights, "heads" | "kvHeads" | "headDim" | "rope">;
  /** Positions, from 0 on. */
  readonly context: number;
}

/**
 * Moments of a tap as text at every position of the context would give them: of rotated keys from those of keys before the
 * rotation, of sensitive queries from those of queries at the keys that they attend to. `undefined` for taps that do not
 * depend on positions.
 *
 * Exact where keys do not depend on their positions themselves (docs/method.md, `latent`, Positions).
 */
export function spreadMoments(
  tap: Tap,
  measured: (tap: Tap) => Moments,
  { attention, context }: Spread,
): Moments | undefined {
  const unturned = unturnedTaps[tap];
  if (unturned === undefined) return undefined;
  const moments = measured(unturned);
  const { heads, kvHeads, headDim, rope } = attention;
  if (rope === undefined) return moments;
  const frequencies = ropeFrequencies(rope, context);
  const chunks = Array.from(frequencies.inverseFrequencies, () => context);
  const turned = turnedByRope(
    moments,
    attention,
    tap === "sensitiveQueries" ? heads : kvHeads,
    frequencies,
    chunks,
  );
  return scaled(turned, { headDim, rotaryDim: rope.rotaryDim }, gainOf(tap, frequencies.attentionScaling));
}

/** The rotation also multiplies what it turns by the attention factor; gradients by what was turned are divided by it. */
const gainOf = (tap: Tap, factor: number): number => (tap === "gradients" ? 1 / factor : factor);

function scaled(
  moments: Moments,
  { headDim, rotaryDim }: { readonly headDim: number; readonly rotaryDim: number },
  factor: number,
): Moments {
  if (factor === 1) return moments;
  const { width, sum, gram } = moments;
  const gain = (column: number) => (column % headDim < rotaryDim ? factor : 1);
  return {
    ...moments,
    sum: sum.map((value, column) => value * gain(column)),
    gram: gram.map((value, at) => value * gain(Math.floor(at / width)) * gain(at % width)),
  };
}

/** The moments of a layer, spread where its plan says so; each is made once. */
export function momentsByTap(
  stage: StageMoments,
  find: (stage: StageMoments, tap: Tap) => Moments,
  spread: Spread | undefined,
): (tap: Tap) => Moments {
  if (spread === undefined) return (tap) => find(stage, tap);
  const made = new Map<Tap, Moments>();
  return (tap) => {
    const moments =
      made.get(tap) ?? spreadMoments(tap, (name) => find(stage, name), spread) ?? find(stage, tap);
    made.set(tap, moments);
    return moments;
  };
}
