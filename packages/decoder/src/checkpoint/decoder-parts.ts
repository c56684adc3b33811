import type { ModelConfig } from "../families/read-config.js";
import type { BlockWeights, EmbeddingWeights, HeadWeights } from "../model/decoder-weights.js";

/** A decoder whose parts are loaded one at a time. */
export interface DecoderParts {
  readonly config: ModelConfig;
  embedding(): Promise<EmbeddingWeights>;
  block(layer: number): Promise<BlockWeights>;
  head(): Promise<HeadWeights>;
}
