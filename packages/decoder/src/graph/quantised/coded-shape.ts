import { type CacheCoding, type CachePrecision, cacheCodings } from "@kvfold/runtime";
import type { CacheShape } from "../../model/decoder-weights.js";

/** How rows of a part of a layer's cache lie in bytes. */
export interface CodedShape {
  readonly coding: CacheCoding;
  /** Heads of the cache as attention reads it, and their numbers. */
  readonly heads: number;
  readonly size: number;
  /** Runs of numbers with a scale of their own, in each head, and their numbers. */
  readonly groups: number;
  readonly groupSize: number;
  /** The cache's tensors: a head for each group. */
  readonly stored: CacheShape;
  readonly scales: CacheShape;
}

/** Heads of an odd size have a byte for each number: two of them share none. */
export function codedShape({ heads, size }: CacheShape, wanted: CacheCoding): CodedShape {
  const coding = size % wanted.perByte === 0 ? wanted : cacheCodings.int8;
  const groups = groupsOf(size, coding);
  const groupSize = size / groups;
  const stored = { heads: heads * groups, size: groupSize / coding.perByte };
  return { coding, heads, size, groups, groupSize, stored, scales: { heads: heads * groups, size: 1 } };
}

/** Bytes that a part of a layer's cache takes for each token, scales included. */
export function codedBytes(shape: CacheShape, precision: CachePrecision): number {
  const { stored, scales } = codedShape(shape, cacheCodings[precision]);
  return stored.heads * stored.size + scales.heads * HALF_BYTES;
}

/** Bytes of a float16. */
const HALF_BYTES = 2;

/** The fewest equal groups of at most `groupSize` numbers, each of whole bytes. */
function groupsOf(size: number, { groupSize, perByte }: CacheCoding): number {
  let groups = Math.ceil(size / groupSize);
  while (size % (groups * perByte) !== 0) groups++;
  return groups;
}
