import type { AttentionWeights } from "../../model/decoder-weights.js";
import type { CacheNames } from "../attention-values.js";
import { emitSlice } from "../emit-slice.js";
import { emitZeros } from "../emit-zeros.js";
import type { Emitter } from "../emitter.js";
import type { Anchors } from "./anchors.js";

/** One half of the latents, `[B, groups, .., r / 2]`. */
export interface CachedHalf {
  readonly name: "key" | "value";
  readonly past: string;
  readonly fresh: string;
  readonly present: string;
}

/** Appends latents `[B, groups, S, r]` to the cache, half under each of its names. */
export function emitJointCache(
  e: Emitter,
  latents: string,
  { keys, values }: Pick<AttentionWeights, "keys" | "values">,
  cache: CacheNames,
): readonly [CachedHalf, CachedHalf] {
  const rank = keys.size + values.size;
  const half = (name: CachedHalf["name"], start: number, end: number) => {
    const [at, past, present] = [e.at(name), cache.past(name), cache.present(name)];
    const fresh = emitSlice(at, latents, 3, start, end);
    at.graph.nodeWithOutputs("Concat", [past, fresh], [present], {
      name: `${at.path}/Concat`,
      attributes: { axis: 2 },
    });
    return { name, past, fresh, present };
  };
  return [half("key", 0, keys.size), half("value", keys.size, rank)];
}

/** The same half with empty slots after it, so that its length is a multiple of `multiple`. */
export function emitPaddedHalf(
  e: Emitter,
  { past, fresh }: CachedHalf,
  { keys }: Pick<AttentionWeights, "keys">,
  { anchors, multiple }: { readonly anchors: Anchors; readonly multiple: number },
): string {
  const shape = [
    anchors.batch(),
    e.graph.int64([keys.heads]),
    anchors.padding(multiple),
    e.graph.int64([keys.size]),
  ];
  const empty = emitZeros(e, shape);
  return e.node("Concat", "Concat", [past, fresh, empty], { attributes: { axis: 2 } });
}
