import type { LayerChange, LayerView, Policy } from "@kvfold/policies";
import { changeSlow, type SlowCache, slowView } from "./slow-cache.js";

/** A difference between what the runtime holds and what the slow cache does. */
export class DifferenceError extends Error {
  override readonly name = "DifferenceError";
}

export function same(what: string, found: unknown, expected: unknown): void {
  if (areSame(found, expected)) return;
  const [a, b] = [found, expected].map((value) => JSON.stringify(value, (_, inner) => plain(inner)));
  if (a !== b) throw new DifferenceError(`${what}: expected ${b?.slice(0, 300)}, found ${a?.slice(0, 300)}`);
}

/** Most of what is compared are arrays of numbers, of which there are many. */
function areSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (!isList(a) || !isList(b) || a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (!areSame(a[index], b[index])) return false;
  return true;
}

const isList = (value: unknown): value is ArrayLike<unknown> =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && "length" in value);

const plain = (value: unknown): unknown => (ArrayBuffer.isView(value) ? Array.from(value as never) : value);

/** The cache that policies act on now. */
export interface World {
  slow: SlowCache;
  /** Logits of the last run, as the slow cache has them. */
  logits: Float64Array;
}

/**
 * A policy that acts on both caches, each from what that cache shows: they must show the same, and the policy must do the same. Slots
 * are the runtime's own affair, so the slow cache shows its tokens in the order of them.
 */
export function lockstep(world: World, real: Policy, twin: Policy): Policy {
  const { afterPrefill, afterStep, begin } = real;
  const both =
    (act: (layer: LayerView) => LayerChange, actTwin: (layer: LayerView) => LayerChange) =>
    (layer: LayerView): LayerChange => {
      const view = compareViews(world.slow, layer);
      const change = act(layer);
      const other = actTwin(view);
      same(`${real.name}, layer ${layer.layer}`, change, other);
      if (other !== undefined)
        changeSlow(world.slow, layer.layer, { view, heads: headsOf(world.slow, layer) }, other);
      return change;
    };
  return {
    ...real,
    ...(afterPrefill && { afterPrefill: both(afterPrefill, (layer) => twin.afterPrefill!(layer)) }),
    ...(afterStep && { afterStep: both(afterStep, (layer) => twin.afterStep!(layer)) }),
    ...(begin && { begin: () => lockstep(world, begin(), twin.begin!()) }),
  };
}

/** The heads that a view shows: all, or those with tokens. */
function headsOf(slow: SlowCache, { layer, heads }: LayerView): readonly number[] {
  const own = slow.tokens[layer]!;
  const filled = [...own.keys()].filter((head) => own[head]!.length > 0);
  same(`heads of layer ${layer} with tokens`, heads.length, filled.length);
  return filled;
}

/** Compares what a layer shows with what the slow cache shows of it, which is returned. */
function compareViews(slow: SlowCache, layer: LayerView): LayerView {
  const heads = headsOf(slow, layer);
  const orders = layer.heads.map(({ positions }) => Array.from(positions));
  for (const [index, order] of orders.entries())
    same(
      `tokens of head ${heads[index]} of layer ${layer.layer}`,
      order.toSorted((a, b) => a - b),
      slow.tokens[layer.layer]![heads[index]!]!.map(({ place }) => place),
    );
  const view = slowView(slow, layer.layer, { heads, orders }, layer.run);
  for (const [index, own] of layer.heads.entries()) {
    const sums = [own, view.heads[index]!].map(({ attentionSums }) => attentionSums);
    same(`sums of head ${heads[index]} of layer ${layer.layer}`, sums[0]?.sums, sums[1]?.sums);
    same(`queries summed in layer ${layer.layer}`, sums[0]?.queries, sums[1]?.queries);
    for (const part of ["keys", "values", "queries", "attention", "queryHeads", "tokens"] as const)
      same(`${part} of head ${heads[index]} of layer ${layer.layer}`, own[part], view.heads[index]![part]);
  }
  same("tokens seen", [layer.seen, layer.ids], [view.seen, view.ids]);
  return view;
}

/** A policy that looks and changes nothing. */
export const looking = (world: World): Policy => ({
  name: "looking",
  action: "drop",
  afterPrefill: (layer) => void compareViews(world.slow, layer),
});
