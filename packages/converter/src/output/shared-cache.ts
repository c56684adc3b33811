import type { CacheShape } from "@kvfold/decoder";
import { storedCache } from "@kvfold/decoder/graph";
import { cacheShapes } from "../plan/cache-size.js";
import type { FoldPlan } from "../plan/fold-plan.js";

/** The shape of the cache's tensors as graphs store them, where all layers, keys and values have one. */
export function sharedCache({ layers }: Pick<FoldPlan, "layers">): CacheShape | undefined {
  const [first, ...others] = layers.flatMap((layer) => Object.values(storedCache(cacheShapes(layer))));
  const agree = others.every(({ heads, size }) => heads === first!.heads && size === first!.size);
  return agree ? first : undefined;
}
