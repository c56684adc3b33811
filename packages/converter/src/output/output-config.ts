import type { ModelConfig, OnnxOutput } from "@kvfold/decoder";
import type { FoldPlan } from "../plan/fold-plan.js";
import { onnxDtypes } from "../plan/stored-dtype.js";
import { sharedCache } from "./shared-cache.js";

/**
 * The `config.json` of an ONNX output: the input's fields with the KV shape of the graph, and what transformers.js
 * wants to know. Versions before 4.2 take the shape of the cache from `num_key_value_heads` and `head_dim`; later
 * ones read it off the graph. Layers or sides of different shapes fit no such fields: they then stay the input's, so that the
 * file claims no shape which only some of them have, and an old version fails at its first step.
 *
 * `multi_query` becomes false: with it, transformers.js looks for one cache that keys and values share, which the graphs of
 * its own exports have and these have not.
 */
export function outputConfig(
  config: ModelConfig,
  plan: FoldPlan,
  outputs: readonly OnnxOutput[],
): Record<string, unknown> {
  return {
    ...config.fields,
    ...sharedShape(config, plan),
    ...("multi_query" in config.fields ? { multi_query: false } : {}),
    "transformers.js_config": {
      // The default is an 8-bit file in browsers, which these folders do not hold.
      dtype: onnxDtypes(plan.dtypes)[0],
      kv_cache_dtype: { fp16: "float16" },
      use_external_data_format: Object.fromEntries(
        outputs.map(({ fileName, dataFiles }) => [fileName, dataFiles.length]),
      ),
    },
  };
}

/** The cache's shape as config fields, where all layers and sides have one shape and the family has a field for it. */
function sharedShape({ standard }: ModelConfig, plan: FoldPlan): Record<string, number> {
  const cache = sharedCache(plan);
  if (standard.kvHeads === undefined || cache === undefined) return {};
  return { [standard.kvHeads]: cache.heads, head_dim: cache.size };
}
