import type { ModelShape } from "@kvfold/decoder";

/**
 * Activations that the projections of a block give. `keysAndValues` are the keys as they enter the rotation (before a norm
 * that follows it, too) and the values beside them, for moments of both together.
 */
export type ProjectionTap = "queries" | "keys" | "keysBeforeRope" | "values" | "keysAndValues";

/** Quantities that need the attention matrix itself; see emit-sensitivity.ts. */
export type AttentionTap = "sensitiveQueries" | "queriesAtKeys" | "attentionWeights";

/**
 * Gradients of the loss by the keys and values of a token, side by side: `gradients` by keys after the rotation,
 * `gradientsBeforeRope` by keys before it. They take a backward pass through the whole model, which `lossMoments` makes before a
 * fold begins.
 */
export type GradientTap = "gradients" | "gradientsBeforeRope";

/** What can be measured of an unfolded block: the second moments of these. */
export type Tap = ProjectionTap | AttentionTap | GradientTap;

/** What is measured in place of taps that depend on the positions of the text, to turn it to any others. */
export const unturnedTaps: Readonly<Partial<Record<Tap, Tap>>> = {
  keys: "keysBeforeRope",
  sensitiveQueries: "queriesAtKeys",
  gradients: "gradientsBeforeRope",
};

/** True for taps that need the attention matrix. */
export const isAttentionTap = (tap: Tap): tap is AttentionTap =>
  tap === "sensitiveQueries" || tap === "queriesAtKeys" || tap === "attentionWeights";

/** True for taps that take a backward pass. */
export const isGradientTap = (tap: Tap): tap is GradientTap =>
  tap === "gradients" || tap === "gradientsBeforeRope";

/** True for taps that the projections give. */
export const isProjectionTap = (tap: Tap): tap is ProjectionTap =>
  !isAttentionTap(tap) && !isGradientTap(tap);

/** Numbers per token: all heads side by side, or one per query head for attention weights. */
export function tapWidth(tap: Tap, { heads, kvHeads, headDim }: ModelShape): number {
  switch (tap) {
    case "queries":
    case "sensitiveQueries":
    case "queriesAtKeys":
      return heads * headDim;
    case "keys":
    case "keysBeforeRope":
    case "values":
      return kvHeads * headDim;
    case "keysAndValues":
    case "gradients":
    case "gradientsBeforeRope":
      return 2 * kvHeads * headDim;
    case "attentionWeights":
      return heads;
  }
}

/** The taps with their widths, as a run over windows sums their moments. */
export const tapSizes = (
  taps: readonly Tap[],
  shape: ModelShape,
): readonly { readonly name: Tap; readonly size: number }[] =>
  taps.map((name) => ({ name, size: tapWidth(name, shape) }));
