import type { ModelConfig } from "../families/read-config.js";
import { type CacheForm, perTokenInput } from "./cache-form.js";
import { emitDynamicPositions } from "./dynamic-positions.js";
import type { AttentionKind } from "./positions.js";
import { storedCache } from "./stored-cache.js";

/**
 * The form that transformers.js and ONNX Runtime GenAI load: `attention_mask` and `position_ids` in, and a present for each
 * past that holds all tokens. The name of the length tells a runtime whether both may be one pre-allocated buffer.
 */
export function standardForm(attention: AttentionKind): CacheForm {
  const isInPlace = attention === "group-query";
  return {
    kind: attention,
    begin(root, config, maxPositions) {
      const { graph } = root;
      const inputs = {
        inputIds: perTokenInput(graph, "input_ids"),
        attentionMask: graph.input("attention_mask", "int64", ["batch_size", "total_sequence_length"]),
        positionIds: usesPositions(config) ? perTokenInput(graph, "position_ids") : undefined,
      };
      const positions = emitDynamicPositions(root.at("positions"), inputs, maxPositions);
      return { inputIds: inputs.inputIds, positions, wanted: (hidden) => hidden };
    },
    tensors(weights) {
      const { keys, values } = storedCache(weights);
      return [
        { name: "key", shape: keys },
        { name: "value", shape: values },
      ];
    },
    lengths: () =>
      isInPlace
        ? { past: "cache_length", present: "cache_length" }
        : { past: "past_sequence_length", present: "total_sequence_length" },
    present: "present",
  };
}

const usesPositions = ({ embedding, blocks }: ModelConfig): boolean =>
  embedding.positions !== undefined || blocks.some(({ attention }) => attention.rope !== undefined);
