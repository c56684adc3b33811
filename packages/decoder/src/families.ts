export type { ConfigFields } from "./config/config-fields.js";
export type { Family } from "./families/family.js";
export {
  describeLlama,
  fusedGatedMlp,
  type LlamaVariant,
  outputNorms,
  plainMlp,
  sharedHeadNorms,
} from "./families/llama-like.js";
export { layerNorm, linear, rmsNorm } from "./families/parts.js";
export { readRope } from "./families/read-rope.js";
export type * from "./model/block-spec.js";
export type { EmbeddingSource, HeadSource, ModelSpec, StandardFields } from "./model/model-spec.js";
