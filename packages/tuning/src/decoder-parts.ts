import {
  type BlockWeights,
  type Checkpoint,
  type EmbeddingWeights,
  type HeadWeights,
  loadBlock,
  loadEmbedding,
  loadHead,
  type ModelConfig,
} from "@kvfold/decoder";

/** A decoder whose parts are loaded one at a time. */
export interface DecoderParts {
  readonly config: ModelConfig;
  embedding(): Promise<EmbeddingWeights>;
  block(layer: number): Promise<BlockWeights>;
  head(): Promise<HeadWeights>;
}

/** The parts of a checkpoint. It stays open as long as they are read. */
export const checkpointParts = (checkpoint: Checkpoint): DecoderParts => ({
  config: checkpoint.config,
  embedding: () => loadEmbedding(checkpoint),
  block: (layer) => loadBlock(checkpoint, layer),
  head: () => loadHead(checkpoint),
});
