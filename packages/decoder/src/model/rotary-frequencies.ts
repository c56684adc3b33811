import { ropeFrequencies } from "@kvfold/rope";
import type { ModelSpec } from "./model-spec.js";

/**
 * `[L]`: radians per token of the rotary pairs of each layer, `[rotaryDim / 2]`, with the model's scaling, for `createCausalLM`
 * of an unfolded model. Absent in layers that rotate nothing, whose rotation changes with the length of the text (`dynamic`,
 * `longrope`), or that change keys after their rotation.
 *
 * Numerics: float64, as `ropeFrequencies` of `@kvfold/rope`.
 */
export const rotaryFrequencies = ({
  blocks,
}: Pick<ModelSpec, "blocks">): readonly (Float64Array | undefined)[] =>
  blocks.map(({ attention: { rope, headNorm } }) =>
    rope === undefined || headNorm === "after-rotation" || dependsOnLength.includes(rope.ropeType)
      ? undefined
      : ropeFrequencies(rope).inverseFrequencies,
  );

const dependsOnLength: readonly string[] = ["dynamic", "longrope"];
