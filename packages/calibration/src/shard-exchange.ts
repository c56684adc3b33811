import type { Moments } from "@kvfold/linalg";
import type { Shard } from "./shard.js";
import type { StageShare } from "./stage-reference.js";
import type { CrossMoments, StageResult } from "./stage-result.js";

/** Which sum of a fold: that of a step of the work on a block. */
export interface SumPlace {
  readonly layer: number;
  /** The same for all shards, and no other step of this block's has it. */
  readonly step: string;
}

/**
 * How processes that share the windows of a text, a shard each, exchange their sums. All of them do the same work in the
 * same order. How parts travel is the transport's: files, sockets, the memory of one process.
 */
export interface ShardExchange {
  readonly shard: Shard;
  /**
   * Hands this shard's part of a sum to the others, and yields the parts of all in the order of the shards, with its own among
   * them. A part that is yielded may not be changed.
   */
  parts(place: SumPlace, own: StageResult): AsyncIterable<StageResult>;
  /** What the first shard found by `find`, which no other calls: plain data, as JSON has it. */
  settled<T>(name: string, find: () => Promise<T>): Promise<T>;
  /** Says that this shard, started again, would ask for no sum of blocks up to `layer`: its work on them is kept or done. */
  finish(layer: number): Promise<void>;
}

/** A step of the work on a block, shared by all shards: the first of them finds what its sums are about. */
export const shareOf = (exchange: ShardExchange, place: SumPlace): StageShare => ({
  agree: (find) => exchange.settled(beginningOf(place), find),
  complete: (own) => sumOverShards(exchange, place, own),
});

const beginningOf = ({ layer, step }: SumPlace): string => `beginning of block ${layer}, ${step}`;

/** A sum over the windows of all shards. It is added up in their order, so that all get the same bytes. */
export async function sumOverShards(
  exchange: ShardExchange,
  place: SumPlace,
  own: StageResult,
): Promise<StageResult> {
  let total: StageResult | undefined;
  for await (const part of exchange.parts(place, own)) {
    if (total === undefined) total = copyOf(part);
    else total = addInto(total, part);
  }
  return total!;
}

/** In float64; of an MLP with 8192 inputs, a part takes half a gigabyte, so no third one is made. */
function addInto(total: StageResult, part: StageResult): StageResult {
  for (const [name, cross] of Object.entries(total.crosses)) {
    addNumbers(cross.cross, part.crosses[name]!.cross);
    addNumbers(cross.sum, part.crosses[name]!.sum);
  }
  const moments = Object.entries(total.moments).map(([name, sums]) => [
    name,
    addMoments(sums, part.moments[name]!),
  ]);
  return { moments: Object.fromEntries(moments) as StageResult["moments"], crosses: total.crosses };
}

function addMoments(total: Moments, part: Moments): Moments {
  addNumbers(total.gram, part.gram);
  addNumbers(total.sum, part.sum);
  return { ...total, count: total.count + part.count };
}

function addNumbers(total: Float64Array, part: Float64Array): void {
  for (let at = 0; at < total.length; at++) total[at]! += part[at]!;
}

const copyOf = ({ moments, crosses }: StageResult): StageResult => ({
  moments: mapValues(moments, ({ sum, gram, ...rest }) => ({
    ...rest,
    sum: sum.slice(),
    gram: gram.slice(),
  })),
  crosses: mapValues(crosses, ({ cross, sum }): CrossMoments => ({ cross: cross.slice(), sum: sum.slice() })),
});

const mapValues = <T>(values: Readonly<Record<string, T>>, map: (value: T) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));
