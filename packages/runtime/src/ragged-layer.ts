import type { HeadChange } from "@kvfold/policies";
import { keptIndices, otherIndices } from "@kvfold/policies/check";
import {
  type CacheSlot,
  type CacheTensor,
  cacheSlots,
  type LayerCache,
  type RaggedLayer,
  slotBytesPerToken,
} from "./cache-layout.js";
import { copyTokens } from "./cpu-memory.js";
import { EMPTY, grownSlots, spareSlots, wholeSlots } from "./empty-slots.js";
import { keptCount } from "./kept-count.js";
import { readRows, rowSize, writeRows } from "./part-rows.js";
import { Tensor } from "./port.js";
import { zeros } from "./tensors.js";

/** Where fewer tokens go than this share, the last ones take their places; else all move up, and memory is given back. */
const FEW = 1 / 16;

/** The cache of one layer, `[1, heads, capacity, size]` each, of which each ragged head uses the first slots. */
export interface RaggedLayerCache {
  /** All tensors, scales of quantised numbers after their codes, and what of these are keys and values, or latents. */
  readonly slots: readonly CacheTensor[];
  readonly parts: readonly CacheSlot[];
  readonly heads: number;
  readonly run: number;
  readonly multiple: number;
  capacity: number;
  /** Tokens of each head. */
  lengths: Int32Array<ArrayBuffer>;
  /** `[heads, capacity]`: positions as the graph reads them, and counted from the first token of the sequence. */
  positions: BigInt64Array<ArrayBuffer>;
  places: Int32Array<ArrayBuffer>;
  tensors: readonly Tensor[];
}

/** An empty layer. */
export function createRaggedLayer(
  cache: LayerCache,
  { heads, run }: Pick<RaggedLayer, "heads" | "run">,
  multiple: number,
): RaggedLayerCache {
  const slots = cacheSlots({ layers: [cache] });
  const layer = { slots, parts: Object.values(cache), heads, run, multiple, lengths: new Int32Array(heads) };
  return { ...layer, ...allocate(layer, multiple) };
}

/** A copy that shares no memory. */
export const copyRaggedLayer = (layer: RaggedLayerCache): RaggedLayerCache => ({
  ...layer,
  lengths: layer.lengths.slice(),
  positions: layer.positions.slice(),
  places: layer.places.slice(),
  tensors: layer.tensors.map(
    ({ type, data, dims }) => new Tensor(type as "float32", (data as Float32Array).slice(), dims),
  ),
});

/** Bytes of its tensors, empty slots included. */
export const raggedBytes = ({ slots, capacity }: RaggedLayerCache): number =>
  capacity * slotBytesPerToken(slots);

/** Appends rows `[1, heads, S, size]` of new tokens to every head; the sequence begins at position `first`. */
export function appendRows(
  layer: RaggedLayerCache,
  rows: readonly Tensor[],
  added: readonly number[],
  first: number,
): void {
  grow(layer, Math.max(...layer.lengths) + added.length);
  for (const [index, slot] of layer.slots.entries()) {
    const target = layer.tensors[index]!.data as Float32Array;
    const source = rows[index]!.data as Float32Array;
    const width = added.length * slot.size;
    for (let head = 0; head < slot.heads; head++) {
      const start = head * layer.capacity + layer.lengths[raggedHead(layer, slot, head)]!;
      target.set(source.subarray(head * width, (head + 1) * width), start * slot.size);
    }
  }
  for (let head = 0; head < layer.heads; head++) {
    const start = head * layer.capacity + layer.lengths[head]!;
    for (const [index, position] of added.entries()) {
      layer.places[start + index] = position - first;
      layer.positions[start + index] = BigInt(position);
    }
    layer.lengths[head]! += added.length;
  }
}

/** Takes in tokens that another cache held, when it is empty: `places [heads, T]` and rows `[1, heads, T, size]`. */
export function fillRagged(
  layer: RaggedLayerCache,
  { places, tensors }: { readonly places: Int32Array; readonly tensors: readonly Tensor[] },
  first: number,
): void {
  const count = places.length / layer.heads;
  grow(layer, count);
  for (const [index, rows] of tensors.entries()) copyTokens(rows, layer.tensors[index]!, count);
  for (let head = 0; head < layer.heads; head++) {
    const own = places.subarray(head * count, (head + 1) * count).filter((place) => place >= 0);
    layer.lengths[head] = own.length;
    layer.places.set(own, head * layer.capacity);
    for (const [index, place] of own.entries())
      layer.positions[head * layer.capacity + index] = BigInt(first + place);
  }
}

/** Forgets all tokens but the first `count` of the sequence. */
export function truncateRagged(layer: RaggedLayerCache, count: number): void {
  const heads = Array.from({ length: layer.heads }, (_, head): HeadChange | undefined => {
    const own = headPositions(layer, head);
    if (own.every((place) => place < count)) return undefined;
    return { kept: Int32Array.from(own.keys()).filter((index) => own[index]! < count) };
  });
  changeRagged(layer, heads);
}

/**
 * Drops the tokens that heads do not keep, and puts rows in the place of others.
 *
 * @returns For each head that changes, a function that lists the tokens it keeps, in the order that they stand in now:
 *   it is needed only where queries or attention were observed.
 */
export function changeRagged(
  layer: RaggedLayerCache,
  heads: readonly (HeadChange | undefined)[],
): readonly ((() => Int32Array) | undefined)[] {
  const orders = heads.map((change, head) => change && changeHead(layer, head, change));
  const longest = Math.max(...layer.lengths);
  const { capacity, multiple } = layer;
  if (capacity > wholeSlots(longest + 2 * spareSlots(longest) + multiple, multiple))
    resize(layer, grownSlots(longest, multiple));
  return orders;
}

/** Keys of a head, or joint latents: a view of the cache where its numbers lie together as float32. */
export const headKeys = (layer: RaggedLayerCache, head: number): Float32Array => rowsOf(layer, 0, head);

/** Values of a head, likewise; joint latents stand for these, too. */
export const headValues = (layer: RaggedLayerCache, head: number): Float32Array =>
  rowsOf(layer, layer.parts.length - 1, head);

/** Where the tokens of a head stand, counted from the first of the sequence. */
export const headPositions = ({ places, capacity, lengths }: RaggedLayerCache, head: number): Int32Array =>
  places.subarray(head * capacity, head * capacity + lengths[head]!);

/** Makes room for `tokens` in every head. */
function grow(layer: RaggedLayerCache, tokens: number): void {
  if (tokens > layer.capacity) resize(layer, grownSlots(tokens, layer.multiple));
}

/** Moves all tokens to tensors of another capacity. */
function resize(layer: RaggedLayerCache, capacity: number): void {
  const { capacity: before, positions, places, tensors, lengths } = layer;
  Object.assign(layer, allocate(layer, capacity));
  const longest = Math.max(...lengths);
  for (const [index, rows] of tensors.entries()) copyTokens(rows, layer.tensors[index]!, longest);
  for (const [head, length] of lengths.entries()) {
    layer.positions.set(positions.subarray(head * before, head * before + length), head * capacity);
    layer.places.set(places.subarray(head * before, head * before + length), head * capacity);
  }
}

function allocate(
  { slots, heads }: Pick<RaggedLayerCache, "slots" | "heads">,
  capacity: number,
): Pick<RaggedLayerCache, "capacity" | "positions" | "places" | "tensors"> {
  return {
    capacity,
    positions: new BigInt64Array(heads * capacity).fill(EMPTY),
    places: new Int32Array(heads * capacity).fill(Number(EMPTY)),
    tensors: slots.map(({ type, heads: own, size }) => zeros(type, [1, own, capacity, size])),
  };
}

/** The ragged head that a KV head belongs to. */
const raggedHead = ({ heads }: Pick<RaggedLayerCache, "heads">, slot: CacheTensor, head: number): number =>
  Math.floor(head / (slot.heads / heads));

/** Returns a function that lists the kept tokens in the order that they stand in now. */
function changeHead(layer: RaggedLayerCache, head: number, change: HeadChange): () => Int32Array {
  const { capacity, lengths } = layer;
  const before = lengths[head]!;
  const count = keptCount(change, before);
  const order = removeRows(layer, head, change);
  const dropped = [head * capacity + count, head * capacity + before] as const;
  layer.positions.fill(EMPTY, ...dropped);
  layer.places.fill(Number(EMPTY), ...dropped);
  lengths[head] = count;
  if (change.keys !== undefined) putRows(layer, 0, head, change.keys);
  if (change.values !== undefined) putRows(layer, 1, head, change.values);
  return order;
}

/** The same. Where few tokens go, and no rows are given for those that stay, the last ones take their places. */
function removeRows(layer: RaggedLayerCache, head: number, change: HeadChange): () => Int32Array {
  const before = layer.lengths[head]!;
  const count = keptCount(change, before);
  const isFew = layer.run === 1 && before - count <= before * FEW;
  if (!isFew || change.keys !== undefined || change.values !== undefined) {
    const kept = keptIndices(change, before);
    for (const { rows, size } of headSlices(layer, head)) moveRows(rows, kept, size);
    return () => kept;
  }
  const moves = fillingMoves(change.dropped ?? otherIndices(change.kept, before), before);
  for (const { rows, size } of headSlices(layer, head))
    for (const { from, to } of moves) rows.copyWithin(to * size, from * size, (from + 1) * size);
  return () => orderAfter(moves, count);
}

interface HeadSlice {
  readonly rows: Float32Array | BigInt64Array | Int32Array;
  readonly size: number;
}

/** All that has a row for each slot of a ragged head: keys and values of its KV heads, and positions. */
function headSlices(layer: RaggedLayerCache, head: number): readonly HeadSlice[] {
  const { slots, tensors, capacity, heads, positions, places } = layer;
  const cached = slots.flatMap(({ heads: own, size }, index) => {
    const data = tensors[index]!.data as Float32Array;
    const span = own / heads;
    return Array.from({ length: span }, (_, part) => {
      const start = (head * span + part) * capacity * size;
      return { rows: data.subarray(start, start + capacity * size), size };
    });
  });
  const own = [head * capacity, (head + 1) * capacity] as const;
  return [
    ...cached,
    { rows: positions.subarray(...own), size: 1 },
    { rows: places.subarray(...own), size: 1 },
  ];
}

interface Move {
  readonly from: number;
  readonly to: number;
}

/** Moves the last of the tokens that stay to the places of those that go: no more moves than there are gaps. */
function fillingMoves(dropped: Int32Array, before: number): readonly Move[] {
  const moves: Move[] = [];
  const count = before - dropped.length;
  let from = before - 1;
  let behind = dropped.length - 1;
  for (let gap = 0; gap < dropped.length && dropped[gap]! < count; gap++) {
    for (; dropped[behind] === from; behind--) from--;
    moves.push({ from: from--, to: dropped[gap]! });
  }
  return moves;
}

/** The order of `count` tokens after these moves. */
function orderAfter(moves: readonly Move[], count: number): Int32Array {
  const order = new Int32Array(count);
  for (let slot = 0; slot < count; slot++) order[slot] = slot;
  for (const { from, to } of moves) order[to] = from;
  return order;
}

/** Puts row `order[i]` at `i`; no row is read after another has taken its place. */
function moveRows(rows: HeadSlice["rows"], order: Int32Array, size: number): void {
  for (let target = 0; target < order.length; ) {
    const from = order[target]!;
    let count = 1;
    while (target + count < order.length && order[target + count] === from + count) count++;
    if (from !== target) rows.copyWithin(target * size, from * size, (from + count) * size);
    target += count;
  }
}

/** Rows `[T, span * size]` of a ragged head as float32: a view where it is one KV head. */
function rowsOf(layer: RaggedLayerCache, index: number, head: number): Float32Array {
  const slot = layer.parts[index]!;
  const size = rowSize(slot);
  const span = slot.heads / layer.heads;
  const tokens = layer.lengths[head]!;
  const parts = Array.from({ length: span }, (_, part) => readRows(layer, slot, head * span + part, tokens));
  if (span === 1) return parts[0]!;
  const rows = new Float32Array(tokens * span * size);
  for (let token = 0; token < tokens; token++)
    for (const [part, data] of parts.entries())
      rows.set(data.subarray(token * size, (token + 1) * size), (token * span + part) * size);
  return rows;
}

/** The reverse of `rowsOf`. */
function putRows(layer: RaggedLayerCache, index: number, head: number, rows: Float32Array): void {
  const slot = layer.parts[index]!;
  const size = rowSize(slot);
  const span = slot.heads / layer.heads;
  const tokens = layer.lengths[head]!;
  if (span === 1) {
    writeRows(layer, slot, head, rows);
    return;
  }
  for (let part = 0; part < span; part++) {
    const own = new Float32Array(tokens * size);
    for (let token = 0; token < tokens; token++) {
      const start = (token * span + part) * size;
      own.set(rows.subarray(start, start + size), token * size);
    }
    writeRows(layer, slot, head * span + part, own);
  }
}
