import type { ModelConfig } from "../checkpoint/read-config.js";
import { storedCache } from "../graph/stored-cache.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import { cacheShapes } from "../plan/plan-fold.js";
import type { OnnxOutput } from "./onnx-output.js";

/**
 * The `config.json` of an ONNX output: the input's fields with the KV shape of the graph, and what transformers.js
 * wants to know. Versions before 4.2 take the shape of the cache from `num_key_value_heads` and `head_dim`; later
 * ones read it off the graph.
 */
export function outputConfig(
  config: ModelConfig,
  plan: FoldPlan,
  outputs: readonly OnnxOutput[],
): Record<string, unknown> {
  const stored = storedCache(cacheShapes(plan.layers[0]!));
  const kvShape =
    config.family.config.kvHeads === undefined
      ? {}
      : { num_key_value_heads: stored.keys.heads, head_dim: stored.keys.size };
  return {
    ...config.fields,
    ...kvShape,
    "transformers.js_config": {
      // The default is a quantised file in browsers; these folders hold float files.
      dtype: plan.floatTypes[0] === "float16" ? "fp16" : "fp32",
      kv_cache_dtype: { fp16: "float16" },
      use_external_data_format: Object.fromEntries(
        outputs.map(({ fileName, dataFiles }) => [fileName, dataFiles.length]),
      ),
    },
  };
}
