import { createGraphBuilder, type WeightStore } from "@kvfold/onnx";
import type { ModelConfig } from "../families/read-config.js";
import type { BlockWeights, CacheShape, EmbeddingWeights, HeadWeights } from "../model/decoder-weights.js";
import type { CacheNames } from "./attention-values.js";
import { type Dtype, dtypes } from "./dtype.js";
import { emitDynamicPositions } from "./dynamic-positions.js";
import { emitBlock } from "./emit-block.js";
import { emitEmbedding, emitHead } from "./emit-embedding.js";
import { createEmitter, OPSETS } from "./emitter.js";
import type { AttentionKind } from "./positions.js";
import { storedCache } from "./stored-cache.js";
import type { DecoderInputs } from "./token-ids.js";

/** A whole decoder with a KV cache, written a block at a time in order. */
export interface DecoderGraph {
  addBlock(weights: BlockWeights): void;
  /** Ends the graph and returns the model file. */
  finish(head: HeadWeights): Uint8Array;
}

export declare namespace createDecoderGraph {
  interface Options {
    readonly config: ModelConfig;
    readonly embedding: EmbeddingWeights;
    readonly attention: AttentionKind;
    readonly dtype: Dtype;
    /** Longest context the rotation tables cover, in tokens. */
    readonly maxPositions: number;
    readonly weights: WeightStore;
    readonly metadata?: Readonly<Record<string, string>>;
  }
}

/**
 * Starts a decoder graph: `input_ids`, `attention_mask`, `position_ids` (RoPE) and `past_key_values.N.key|value` in,
 * `logits` and `present.N.key|value` out, as transformers.js and ONNX Runtime GenAI name them.
 */
export function createDecoderGraph(options: createDecoderGraph.Options): DecoderGraph {
  const { config, dtype, attention, weights, metadata = {} } = options;
  const { floatType, projections } = dtypes[dtype];
  const graph = createGraphBuilder({ graphName: "decoder", opsets: OPSETS, weights, metadata });
  const root = createEmitter(graph, { floatType, projections });
  const inputs = declareInputs(graph, config);
  const positions = emitDynamicPositions(root, inputs, options.maxPositions);
  const { inputIds } = inputs;
  const embedded = emitEmbedding(root.at("model"), inputIds, options.embedding, config.shape, positions);

  let hidden = embedded.hidden;
  const presents: { name: string; shape: CacheShape }[] = [];
  let layer = 0;

  return {
    addBlock(block) {
      const cache = declarePast(layer);
      const stored = storedCache(block.attention);
      graph.input(cache.pastKey, floatType, cacheDims(stored.keys, pastLength(attention)));
      graph.input(cache.pastValue, floatType, cacheDims(stored.values, pastLength(attention)));
      const context = { kind: attention, positions, cache };
      hidden = emitBlock(root.at(`model/layers.${layer}`), hidden, block, context).output;
      presents.push(
        { name: cache.presentKey, shape: stored.keys },
        { name: cache.presentValue, shape: stored.values },
      );
      layer++;
    },
    finish(head) {
      const logits = emitHead(root, hidden, embedded.table, head, config.shape);
      const named = graph.nodeWithOutputs("Identity", [logits], ["logits"], { name: "/logits/Identity" })[0]!;
      graph.output(named, "float32", ["batch_size", "sequence_length", config.shape.vocabSize]);
      for (const { name, shape } of presents)
        graph.output(name, floatType, cacheDims(shape, presentLength(attention)));
      return graph.toBytes();
    },
  };
}

function declareInputs(
  graph: ReturnType<typeof createGraphBuilder>,
  { embedding, blocks }: ModelConfig,
): DecoderInputs {
  const usesPositions =
    embedding.positions !== undefined || blocks.some(({ attention }) => attention.rope !== undefined);
  const perToken = ["batch_size", "sequence_length"];
  return {
    inputIds: graph.input("input_ids", "int64", perToken),
    attentionMask: graph.input("attention_mask", "int64", ["batch_size", "total_sequence_length"]),
    positionIds: usesPositions ? graph.input("position_ids", "int64", perToken) : undefined,
  };
}

const declarePast = (layer: number): CacheNames => ({
  pastKey: `past_key_values.${layer}.key`,
  pastValue: `past_key_values.${layer}.value`,
  presentKey: `present.${layer}.key`,
  presentValue: `present.${layer}.value`,
});

/** Heads and head size are static: transformers.js takes the cache's shape from here. */
const cacheDims = ({ heads, size }: CacheShape, length: string) => ["batch_size", heads, length, size];

/** The name of the length tells a runtime whether past and present may be one pre-allocated buffer. */
const pastLength = (attention: AttentionKind) =>
  attention === "group-query" ? "cache_length" : "past_sequence_length";
const presentLength = (attention: AttentionKind) =>
  attention === "group-query" ? "cache_length" : "total_sequence_length";
