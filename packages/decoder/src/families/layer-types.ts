import { type ConfigFields, malformed } from "../config/config-fields.js";

export type LayerType = "full_attention" | "sliding_attention";

/** The kind of each layer: as the config lists them, else by the family's rule. */
export function readLayerTypes(
  config: ConfigFields,
  layers: number,
  rule: (layer: number) => LayerType,
): readonly LayerType[] {
  const listed = config.list("layer_types", layers);
  if (listed === undefined) return Array.from({ length: layers }, (_, layer) => rule(layer));
  return listed.map((type) => {
    if (type === "full_attention" || type === "sliding_attention") return type;
    throw malformed("layer_types", "a list of full_attention and sliding_attention", type);
  });
}

/** A rule of families whose every nth layer sees all keys, the others a window. */
export const everyNthIsFull =
  (n: number) =>
  (layer: number): LayerType =>
    (layer + 1) % n === 0 ? "full_attention" : "sliding_attention";
