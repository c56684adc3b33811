import type { AttentionWeights } from "../../model/decoder-weights.js";
import type { CacheNames } from "../attention-values.js";
import { emitSlice } from "../emit-slice.js";
import type { Emitter } from "../emitter.js";

/** Appends latents `[B, groups, S, r]` to the cache, half under each name, and gives all of them, `[B, groups, T, r]`. */
export function emitJointCache(
  e: Emitter,
  latents: string,
  { keys, values }: Pick<AttentionWeights, "keys" | "values">,
  { pastKey, presentKey, pastValue, presentValue }: CacheNames,
): string {
  const rank = keys.size + values.size;
  const halves = [
    { past: pastKey, present: presentKey, fresh: emitSlice(e.at("key"), latents, 3, 0, keys.size) },
    { past: pastValue, present: presentValue, fresh: emitSlice(e.at("value"), latents, 3, keys.size, rank) },
  ];
  for (const { past, present, fresh } of halves)
    e.graph.nodeWithOutputs("Concat", [past, fresh], [present], {
      name: `${e.path}/${present}/Concat`,
      attributes: { axis: 2 },
    });
  return e.node("Concat", "Concat", [presentKey, presentValue], { attributes: { axis: 3 } });
}
