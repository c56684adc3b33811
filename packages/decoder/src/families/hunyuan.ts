import type { RopeParameters } from "@kvfold/rope";
import { type ConfigFields, positive } from "../config/config-fields.js";
import type { Family } from "./family.js";
import { describeLlama, sharedHeadNorms } from "./llama-like.js";
import { readRope } from "./parts.js";

/** Hunyuan (dense): norms of heads after the rotation, whose base an `alpha` stretches. */
export const hunyuan: Family = {
  name: "Hunyuan",
  modelType: "hunyuan_v1_dense",
  describe: (config) => {
    const attention = config.flag("attention_bias", false);
    return describeLlama(config, {
      epsilon: ["rms_norm_eps", 1e-5],
      biases: { projections: attention, output: attention, mlp: false },
      headNorms: sharedHeadNorms(["query_layernorm", "key_layernorm"], "after-rotation"),
      rope: (_, headDim) => readStretchedRope(config, headDim),
    });
  },
};

/** `theta alpha^(d / (d - 2))` at all lengths, whatever the config calls the type (transformers, `modeling_hunyuan_v1_dense.py`). */
function readStretchedRope(config: ConfigFields, headDim: number): RopeParameters {
  const name = config.raw("rope_scaling") === undefined ? "rope_parameters" : "rope_scaling";
  const scaling = config.inside(name);
  const alpha = scaling.number("alpha", 0);
  if (alpha === 0) return readRope(config, { headDim });
  const theta = scaling.number("rope_theta", config.number("rope_theta", 10_000, positive), positive);
  return {
    headDim,
    rotaryDim: headDim,
    theta: theta * alpha ** (headDim / (headDim - 2)),
    ropeType: "default",
    scaling: {},
  };
}
