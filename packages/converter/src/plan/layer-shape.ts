import type { ModelConfig } from "@kvfold/decoder";

/** What the description of a block says of its attention. */
export type LayerShape = ModelConfig["blocks"][number]["attention"];

/** The attention of one layer of a model. */
export const layerShape = ({ blocks }: ModelConfig, layer: number): LayerShape => blocks[layer]!.attention;
