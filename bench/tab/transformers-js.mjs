import { AutoModelForCausalLM, DynamicCache, env, LogLevel, Tensor } from "@huggingface/transformers";
import { serveDecode } from "./serve-decode.mjs";

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = "/models/";
env.logLevel = LogLevel.ERROR;

const int64 = (values) => new Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);

/** Its forward with its cache, which is what its `generate` loops over, without its sampling. */
serveDecode(async ({ model, provider, threads }) => {
  Object.assign(env.backends.onnx.wasm, { wasmPaths: "/transformers-ort/", numThreads: threads });
  const lm = await AutoModelForCausalLM.from_pretrained(model, { dtype: "fp32", device: provider });
  const cache = new DynamicCache();
  return async (ids) => {
    const length = ids.length + cache.get_seq_length();
    const { logits, ...present } = await lm({
      input_ids: int64(ids),
      attention_mask: int64(Array.from({ length }, () => 1)),
      past_key_values: cache,
    });
    cache.update(
      Object.fromEntries(
        Object.entries(present).map(([name, tensor]) => [name.replace("present", "past_key_values"), tensor]),
      ),
    );
    return logits.data.subarray(-logits.dims.at(-1));
  };
});
