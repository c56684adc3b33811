import type { ModelSpec } from "../model/model-spec.js";
import type { Family } from "./family.js";
import { describeLlama } from "./llama-like.js";
import { linear } from "./parts.js";

/** InternLM 2 and 2.5: Llama with projections fused group by group, under names of its own. */
export const internlm2: Family = {
  name: "InternLM2",
  modelType: "internlm2",
  describe: (config) => {
    const bias = config.flag("bias", true);
    const spec = describeLlama(config, { biases: { projections: bias, output: bias, mlp: false } });
    return {
      ...spec,
      embedding: { ...spec.embedding, tokens: "model.tok_embeddings" },
      blocks: spec.blocks.map((block, layer) => renameBlock(block, `model.layers.${layer}`, bias)),
      head: { ...spec.head, table: "output" },
      standard: { kvHeads: "num_key_value_heads", biases: undefined },
    };
  },
};

function renameBlock(
  block: ModelSpec["blocks"][number],
  module: string,
  bias: boolean,
): ModelSpec["blocks"][number] {
  return {
    ...block,
    attentionNorms: { input: { ...block.attentionNorms.input!, name: `${module}.attention_norm` } },
    mlpNorms: { input: { ...block.mlpNorms.input!, name: `${module}.ffn_norm` } },
    attention: {
      ...block.attention,
      projections: { layout: "grouped", fused: linear(`${module}.attention.wqkv`, bias) },
      output: linear(`${module}.attention.wo`, bias),
    },
    mlp: {
      ...block.mlp,
      input: {
        layout: "gated",
        gate: linear(`${module}.feed_forward.w1`, false),
        up: linear(`${module}.feed_forward.w3`, false),
      },
      down: linear(`${module}.feed_forward.w2`, false),
    },
  };
}
