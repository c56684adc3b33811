import type { ConfigFields } from "../config/config-fields.js";
import type { ModelSpec } from "../model/model-spec.js";

/** A model family: how a `config.json` of its `model_type` describes a decoder. */
export interface Family {
  readonly name: string;
  /** `model_type` in config.json. */
  readonly modelType: string;
  /**
   * The decoder that a config describes. Fields that it does not read are reported to the user, so it reads all that
   * change what the model computes.
   *
   * @throws {DecoderError} `malformed-checkpoint` for a broken field, `unsupported-model` for a variant that cannot be run.
   */
  readonly describe: (config: ConfigFields) => ModelSpec;
}
