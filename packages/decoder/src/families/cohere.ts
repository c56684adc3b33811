import type { Family } from "./family.js";
import { describeLlama, factor, type LlamaVariant } from "./llama-like.js";
import { layerNorm, ownHeadNorms } from "./parts.js";
import { readRope } from "./read-rope.js";

/** Cohere's Command R: attention and MLP side by side behind one LayerNorm, neighbouring numbers turn together. */
export const cohere: Family = {
  name: "Cohere",
  modelType: "cohere",
  describe: (config) => {
    const attention = config.flag("attention_bias", false);
    return describeLlama(config, {
      epsilon: ["layer_norm_eps", 1e-5],
      defaults: { tied: true, maxPositions: 8192 },
      norm: (name, epsilon) => layerNorm(name, epsilon, false),
      norms: oneInputNorm,
      arrangement: "parallel",
      biases: { projections: attention, output: attention, mlp: false },
      ropeLayout: "interleaved",
      rope: (_, shape) => readRope(config, shape, { defaultTheta: 500_000 }),
      logitFactor: factor(config, "logit_scale", 0.0625),
      ...(config.flag("use_qk_norm", false) ? { headNorms } : {}),
    });
  },
};

const oneInputNorm: NonNullable<LlamaVariant["norms"]> = (_, norm) => ({
  attention: { input: norm("input_layernorm") },
  mlp: { input: norm("input_layernorm") },
});

const headNorms: NonNullable<LlamaVariant["headNorms"]> = (module, _, epsilon) => ({
  query: ownHeadNorms([`${module}.q_norm`], epsilon),
  key: ownHeadNorms([`${module}.k_norm`], epsilon),
  place: "before-rotation",
});
