import { RopeError } from "./rope-error.js";
import type { RopeFrequencies, RopeParameters, RopeType } from "./rope-parameters.js";
import { scalingRules } from "./scalings/registry.js";

/**
 * The rotation speeds of a model at a sequence length, with the model's scaling applied.
 *
 * Only `dynamic` and `longrope` depend on `sequenceLength` (tokens, past ones included). Left out, it stands for any
 * length within the one the model was trained on. Keys cached at one length do not fit queries of another where the
 * frequencies differ: see {@link rerotationTables}.
 *
 * Numerics: float64 throughout, within 1e-13 relative of Hugging Face's own formulas evaluated in float64. Hugging
 * Face evaluates them in float32, which moves them by about 2e-7 relative.
 *
 * @returns `inverseFrequencies` `[rotaryDim / 2]` in radians per token, and `attentionScaling`.
 * @throws {RopeError} `invalid-argument` when `sequenceLength` is not a number of tokens.
 * @see Hugging Face transformers 5.18.0, `modeling_rope_utils.py`, for the formulas.
 *
 * @example
 * ```ts
 * import { ropeFrequencies, ropeParameters } from "@kvfold/rope";
 *
 * const parameters = ropeParameters({ head_dim: 4, rope_theta: 10_000 });
 * Array.from(ropeFrequencies(parameters).inverseFrequencies) // => [1, 0.01]
 * ```
 */
export function ropeFrequencies<T extends RopeType>(
  parameters: RopeParameters<T>,
  sequenceLength?: number,
): RopeFrequencies {
  if (sequenceLength !== undefined && !(Number.isFinite(sequenceLength) && sequenceLength >= 0)) {
    throw new RopeError(
      "invalid-argument",
      `ropeFrequencies: expected sequenceLength to be a number of tokens, found ${sequenceLength}`,
    );
  }
  return scalingRules[parameters.ropeType].frequencies(parameters.scaling, parameters, sequenceLength);
}
