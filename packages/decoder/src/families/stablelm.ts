import type { Family } from "./family.js";
import { describeLlama, type LlamaVariant } from "./llama-like.js";
import { layerNorm, ownHeadNorms, refuse } from "./parts.js";
import { readRope } from "./read-rope.js";

/** StableLM 2: Llama with LayerNorms; a quarter of each head turns. The 12B has norms of heads and parallel halves. */
export const stablelm: Family = {
  name: "StableLM",
  modelType: "stablelm",
  describe: (config) => {
    // Of the first releases; transformers does not read it.
    config.markRead("rotary_scaling_factor");
    const parallel = config.flag("use_parallel_residual", false);
    return describeLlama(config, {
      defaults: { kvHeads: 32, maxPositions: 4096 },
      epsilon: ["layer_norm_eps", 1e-5],
      norm: layerNorm,
      biases: { projections: config.flag("use_qkv_bias", false), output: false, mlp: false },
      rope: (_, shape) => readRope(config, shape, { defaultShare: 0.25 }),
      ...(config.flag("qk_layernorm", false) ? { headNorms } : {}),
      ...(parallel ? parallelHalves : {}),
    });
  },
};

const parallelHalves: Pick<LlamaVariant, "arrangement" | "norms"> = {
  arrangement: "parallel",
  norms: (_, norm) => ({
    attention: { input: norm("input_layernorm") },
    mlp: { input: norm("input_layernorm") },
  }),
};

/** Each norm is an object in every layer before a weight is read; the 12B has 32. */
const MAX_OWN_NORMS = 256;

const headNorms: NonNullable<LlamaVariant["headNorms"]> = (module, { heads, kvHeads }, epsilon) => {
  refuse(heads > MAX_OWN_NORMS, "StableLM", `norms of their own for more than ${MAX_OWN_NORMS} heads`);
  const names = (name: string, count: number) =>
    Array.from({ length: count }, (_, head) => `${module}.${name}.norms.${head}`);
  return {
    query: ownHeadNorms(names("q_layernorm", heads), epsilon),
    key: ownHeadNorms(names("k_layernorm", kvHeads), epsilon),
    place: "before-rotation",
  };
};
