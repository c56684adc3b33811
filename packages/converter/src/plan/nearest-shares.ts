import type { ModelConfig } from "@kvfold/decoder";
import { formatKeep, type Keep, reduceKeep } from "./keep.js";
import { layerShape } from "./layer-shape.js";

/**
 * The shares next to `wanted`, below and above it, that are whole numbers of heads and that `accepts` takes; such as
 * `1/3 and 1`, or `none` where there are none.
 */
export function nearestShares(config: ModelConfig, wanted: Keep, accepts: (keep: Keep) => boolean): string {
  const able = headShares(config).filter(accepts);
  const below = able.filter((keep) => shareOf(keep) < shareOf(wanted)).at(-1);
  const above = able.find((keep) => shareOf(keep) > shareOf(wanted));
  const found = [below, above].filter((keep) => keep !== undefined);
  return found.length === 0 ? "none" : found.map(formatKeep).join(" and ");
}

/** All whole numbers of the first layer's heads, ascending. */
function headShares(config: ModelConfig): readonly Keep[] {
  const { kvHeads } = layerShape(config, 0);
  return Array.from({ length: kvHeads }, (_, index) => reduceKeep(index + 1, kvHeads));
}

const shareOf = ({ numerator, denominator }: Keep): number => numerator / denominator;
