import type { ConfigFields } from "../internal/config-fields.js";
import type { RopeFrequencies, RopeGeometry, RopeScalings, RopeType } from "../rope-parameters.js";

/** Where a scaling finds its fields. */
export interface ScalingSource {
  /** The config object that holds the scaling's own fields. */
  readonly fields: ConfigFields;
  readonly geometry: RopeGeometry;
  /** The context length the model was made for (`max_position_embeddings`), in tokens. */
  readonly readMaxLength: () => number;
  /** The context length of pretraining (`original_max_position_embeddings`, else the above), in tokens. */
  readonly readOriginalLength: () => number;
}

/** One rope type: how its fields are read and how they become frequencies. */
export interface ScalingRule<T extends RopeType> {
  readonly read: (source: ScalingSource) => RopeScalings[T];
  /** `sequenceLength` in tokens; undefined stands for any length within the original one. */
  readonly frequencies: (
    scaling: RopeScalings[T],
    geometry: RopeGeometry,
    sequenceLength: number | undefined,
  ) => RopeFrequencies;
}
