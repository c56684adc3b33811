import type { RopeParameters } from "@kvfold/rope";
import { type ConfigFields, notNegative } from "../config/config-fields.js";
import type { ModelShape } from "../model/model-shape.js";
import type { Family } from "./family.js";
import { describeLlama, sharedHeadNorms } from "./llama-like.js";
import { readRope } from "./read-rope.js";

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
      rope: (_, shape) => readStretchedRope(config, shape),
    });
  },
};

/** Dynamic scaling with an `alpha` is `theta alpha^(d / (d - 2))` at all lengths (transformers, `modeling_hunyuan_v1_dense.py`). */
function readStretchedRope(config: ConfigFields, shape: ModelShape): RopeParameters {
  const rope = readRope(config, shape);
  const name = config.raw("rope_scaling") === undefined ? "rope_parameters" : "rope_scaling";
  const alpha = config.inside(name).number("alpha", 0, notNegative);
  if (rope.ropeType !== "dynamic" || alpha === 0) return rope;
  const { headDim, rotaryDim, theta } = rope;
  const stretched = theta * alpha ** (headDim / (headDim - 2));
  return { headDim, rotaryDim, theta: stretched, ropeType: "default", scaling: {} };
}
