import { createGraphBuilder, type DataType, type WeightStore } from "@kvfold/onnx";
import type { ModelConfig } from "../families/read-config.js";
import type { BlockWeights, CacheShape, EmbeddingWeights, HeadWeights } from "../model/decoder-weights.js";
import type { CacheNames } from "./attention-values.js";
import type { CacheForm, LayerOutputs } from "./cache-form.js";
import { type Dtype, dtypes } from "./dtype.js";
import { emitBlock } from "./emit-block.js";
import { emitEmbedding, emitHead } from "./emit-embedding.js";
import { createEmitter, OPSETS } from "./emitter.js";
import { statisticsMetadata } from "./statistics-metadata.js";

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
    /** What the graph's inputs and outputs are besides `input_ids` and `logits`. */
    readonly form: CacheForm;
    readonly dtype: Dtype;
    /** Longest context the rotation tables cover, in tokens. */
    readonly maxPositions: number;
    readonly weights: WeightStore;
    readonly metadata?: Readonly<Record<string, string>>;
  }
}

/** What a layer gives out; of the graph's float type unless it says otherwise. */
type GraphOutput = LayerOutputs["outputs"][number] & { readonly type?: DataType };

/**
 * Starts a decoder graph: `input_ids` and `past_key_values.N.key|value` in, `logits` out, and what its form adds
 * (`standard-form.ts`, `delta-form.ts`).
 */
export function createDecoderGraph(options: createDecoderGraph.Options): DecoderGraph {
  const { config, dtype, form, weights } = options;
  const metadata: Record<string, string> = { ...options.metadata };
  const { floatType, projections } = dtypes[dtype];
  const graph = createGraphBuilder({ graphName: "decoder", opsets: OPSETS, weights, metadata });
  const root = createEmitter(graph, { floatType, projections });
  const { inputIds, positions, positionsOf, observe, wanted } = form.begin(
    root,
    config,
    options.maxPositions,
  );
  const embedded = emitEmbedding(root.at("model"), inputIds, options.embedding, config.shape, positions);

  let hidden = embedded.hidden;
  const outputs: GraphOutput[] = [];
  let layer = 0;

  return {
    addBlock(block) {
      const cache = cacheNames(layer, form);
      const lengths = form.lengths(layer, block.attention);
      for (const { name, shape, type = floatType } of form.tensors(block.attention)) {
        graph.input(cache.past(name), type, cacheDims(shape, lengths.past));
        outputs.push({ name: cache.present(name), type, dims: cacheDims(shape, lengths.present) });
      }
      const observed = observe?.(layer, block.attention);
      if (observed !== undefined) outputs.push(...observed.outputs);
      const context = {
        kind: form.kind,
        positions: positionsOf?.(layer, block.attention) ?? positions,
        cache,
        observe: observed?.observe,
      };
      // In the graph that others are made from.
      if (isStandard(form)) Object.assign(metadata, statisticsMetadata(layer, block.attention));
      hidden = emitBlock(root.at(`model/layers.${layer}`), hidden, block, context).output;
      layer++;
    },
    finish(head) {
      const logits = emitHead(root, wanted(hidden), embedded.table, head, config.shape);
      const named = graph.nodeWithOutputs("Identity", [logits], ["logits"], { name: "/logits/Identity" })[0]!;
      graph.output(named, "float32", ["batch_size", "sequence_length", config.shape.vocabSize]);
      for (const { name, dims, type = floatType } of outputs) graph.output(name, type, dims);
      return graph.toBytes();
    },
  };
}

const isStandard = ({ kind }: CacheForm): boolean => kind !== "delta" && kind !== "ragged";

const cacheNames = (layer: number, { present, coding }: CacheForm): CacheNames => ({
  past: (tensor) => `past_key_values.${layer}.${tensor}`,
  present: (tensor) => `${present}.${layer}.${tensor}`,
  coding,
});

/** Heads and head size are static: runtimes take the cache's shape from here. */
const cacheDims = ({ heads, size }: CacheShape, length: string) => ["batch_size", heads, length, size];
