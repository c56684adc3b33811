import type { ModelConfig } from "@kvfold/decoder";

/** What planning needs to know of one layer's attention. */
export interface LayerShape {
  /** `Hkv`, KV heads. */
  readonly kvHeads: number;
  /** `d`, size of a head. */
  readonly headDim: number;
  /** Whether queries and keys are rotated by their positions (RoPE). */
  readonly rotated: boolean;
}

/** The one place that knows where a config says so. */
const rotates = ({ family }: ModelConfig, _layer: number): boolean => family.positions === "rope";

/** The attention of one layer of a model. */
export const layerShape = (config: ModelConfig, layer: number): LayerShape => ({
  kvHeads: config.shape.kvHeads,
  headDim: config.shape.headDim,
  rotated: rotates(config, layer),
});
