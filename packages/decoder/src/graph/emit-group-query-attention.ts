import { float } from "@kvfold/onnx";
import type { AttentionWeights } from "../model/decoder-weights.js";
import type { AttentionContext, Projected } from "./attention-values.js";
import { type Emitter, MICROSOFT } from "./emitter.js";

/**
 * `com.microsoft.GroupQueryAttention`, its inputs 0 to 6 only (all that ONNX Runtime 1.21 has), the rotation done
 * before. The scale is that of the unfolded head, whatever the size of the folded one.
 */
export function emitGroupQueryAttention(
  e: Emitter,
  { query, key, value }: Projected,
  { heads, keys, scale, window }: AttentionWeights,
  { positions, cache }: AttentionContext,
): string {
  const { lastKey, total } = positions.lengths();
  const inputs = [query, key, value, cache?.past("key") ?? "", cache?.past("value") ?? "", lastKey, total];
  const outputs = cache === undefined ? ["", ""] : [cache.present("key"), cache.present("value")];
  const name = `${e.path}/GroupQueryAttention`;
  return e.graph.nodeWithOutputs("GroupQueryAttention", inputs, [`${name}/output_0`, ...outputs], {
    name,
    domain: MICROSOFT,
    attributes: {
      num_heads: heads,
      kv_num_heads: keys.heads,
      scale: float(scale),
      do_rotary: 0,
      ...(window === undefined ? {} : { local_window_size: window }),
    },
  })[0]!;
}
