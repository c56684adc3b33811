import { type HeadChange, type HeadView, keptIndices, type LayerView } from "@kvfold/policies";
import {
  logitShare,
  queryNumber,
  rowNumber,
  sharesOf,
  sumOf,
  type TinyLayer,
  type TinyRun,
  VOCABULARY,
} from "./tiny-graph.js";

/** One token of one head: what is cached of it, as plain numbers, and what the last queries paid it. */
interface Token {
  readonly place: number;
  keys: number[];
  /** Absent where keys are latents, which stand for both. */
  values: number[] | undefined;
  /** `[G][W]` */
  shares?: readonly (readonly number[])[] | undefined;
  /** `[G]`: what it was paid by all queries that are summed. */
  sums?: readonly number[] | undefined;
}

/** A cache of lists of tokens, in the order of their places: slow, and too simple to be wrong. */
export interface SlowCache {
  readonly layers: readonly TinyLayer[];
  readonly first: number;
  ids: number[];
  /** By layer and head. */
  tokens: Token[][][];
  /** Positions of the queries that are seen. */
  queries: number[];
  /** Queries whose attention is seen, and those whose attention is summed. */
  rows: number;
  summed: number;
  settled: number;
}

export const createSlowCache = (layers: readonly TinyLayer[], first: number): SlowCache => ({
  layers,
  first,
  ids: [],
  tokens: layers.map(({ heads }) => Array.from({ length: heads }, () => [])),
  queries: [],
  rows: 0,
  summed: 0,
  settled: 0,
});

/** What is observed of a run: what it was asked for, and how many queries are kept in all. */
export interface Observed extends Omit<TinyRun, "ids"> {
  readonly most: number;
}

/** Appends the tokens of one run. */
export function append(
  cache: SlowCache,
  ids: readonly number[],
  { queries, attention, attentionSums, most }: Observed,
): void {
  const start = cache.ids.length;
  const positions = ids.map((_, index) => cache.first + start + index);
  for (const [layer, { heads, parts }] of cache.layers.entries())
    for (const [head, own] of cache.tokens[layer]!.entries()) {
      for (const [index, id] of ids.entries()) {
        const [keys, values] = Object.values(parts).map(({ heads: kvHeads, size }, part) =>
          numbersOf({
            id,
            position: positions[index]!,
            part: 10 * layer + part,
            span: kvHeads / heads,
            head,
            size,
          }),
        );
        own.push({ place: start + index, keys: keys!, values });
      }
      const place = { cache, layer, head };
      const shares = sharesWith(place, lastOf(positions, attention));
      const summed = sharesWith(place, lastOf(positions, attentionSums));
      for (const [index, token] of own.entries()) {
        token.shares = shares[index];
        const fresh = summed[index]?.map(sumOf);
        const earlier = attentionSums === ids.length ? token.sums : undefined;
        token.sums = fresh?.map((sum, member) => sum + (earlier?.[member] ?? 0));
      }
    }
  cache.ids = [...cache.ids, ...ids];
  cache.rows = Math.min(attention, ids.length);
  cache.summed = attentionSums + (attentionSums === ids.length ? cache.summed : 0);
  cache.queries = queries === 0 ? [] : [...cache.queries, ...positions.slice(-queries)].slice(-most);
}

interface Row {
  readonly id: number;
  readonly position: number;
  readonly part: number;
  readonly span: number;
  readonly head: number;
  readonly size: number;
}

const numbersOf = ({ id, position, part, span, head, size }: Row): number[] =>
  Array.from({ length: span * size }, (_, at) =>
    rowNumber(id, position, part, head * span + Math.floor(at / size), at % size),
  );

const lastOf = (positions: readonly number[], count: number): readonly number[] =>
  count === 0 ? [] : positions.slice(-count);

interface Place {
  readonly cache: SlowCache;
  readonly layer: number;
  readonly head: number;
}

/** What each token of a head is paid by queries at these positions, `[T][G][W]`; nothing where there are none. */
function sharesWith(
  { cache, layer, head }: Place,
  queries: readonly number[],
): readonly (readonly (readonly number[])[])[] {
  const { queryHeads, heads } = cache.layers[layer]!;
  const group = queryHeads / heads;
  if (queries.length === 0 || group === 0) return [];
  const own = cache.tokens[layer]![head]!;
  const keys = own.map(({ place }) => cache.first + place);
  const rows = Array.from({ length: group }, (_, member) =>
    queries.map((query) => sharesOf(query, keys, layer, head * group + member)),
  );
  return own.map((_, index) => rows.map((ofHead) => ofHead.map((row) => row[index]!)));
}

/** Heads of a layer, and the order of the places of each. */
interface Shown {
  readonly heads: readonly number[];
  readonly orders: readonly (readonly number[])[];
}

/** A layer as a policy sees it, tokens of each head in the order that is given. */
export function slowView(
  cache: SlowCache,
  layer: number,
  { heads: shown, orders }: Shown,
  run: number,
): LayerView {
  const { heads, queryHeads, parts } = cache.layers[layer]!;
  const group = queryHeads === 0 ? 1 : queryHeads / heads;
  return {
    layer,
    layers: cache.layers.length,
    seen: cache.ids.length,
    run,
    ids: cache.ids,
    heads: shown.map((head, index): HeadView => {
      const own = cache.tokens[layer]![head]!;
      const byPlace = new Map(own.map((token) => [token.place, token]));
      const tokens = orders[index]!.map((place) => byPlace.get(place)!);
      const keys = Float32Array.from(tokens.flatMap((token) => token.keys));
      const size = parts.key?.size ?? 0;
      return {
        tokens: tokens.length,
        queryHeads: group,
        keys,
        values: "latent" in parts ? keys : Float32Array.from(tokens.flatMap(({ values = [] }) => values)),
        positions: Int32Array.from(orders[index]!),
        queries:
          queryHeads === 0 || cache.queries.length === 0
            ? undefined
            : Float32Array.from({ length: group * cache.queries.length * size }, (_, at) => {
                const row = Math.floor(at / size);
                const member = Math.floor(row / cache.queries.length);
                return queryNumber(
                  cache.queries[row % cache.queries.length]!,
                  layer,
                  head * group + member,
                  at % size,
                );
              }),
        attention:
          queryHeads === 0 || cache.rows === 0
            ? undefined
            : Float32Array.from({ length: group * cache.rows * tokens.length }, (_, at) => {
                const row = Math.floor(at / tokens.length);
                const { shares } = tokens[at % tokens.length]!;
                return shares![Math.floor(row / cache.rows)]![row % cache.rows]!;
              }),
        attentionSums:
          queryHeads === 0 || cache.summed === 0
            ? undefined
            : {
                sums: Float32Array.from({ length: group * tokens.length }, (_, at) => {
                  const { sums } = tokens[at % tokens.length]!;
                  return sums![Math.floor(at / tokens.length)]!;
                }),
                queries: cache.summed,
              },
      };
    }),
  };
}

/** Keeps what a policy keeps of a view of some heads. */
export function changeSlow(
  cache: SlowCache,
  layer: number,
  { view, heads }: { readonly view: LayerView; readonly heads: readonly number[] },
  changes: readonly (HeadChange | undefined)[],
): void {
  for (const [index, change] of changes.entries()) {
    if (change === undefined) continue;
    const head = heads[index]!;
    const own = cache.tokens[layer]![head]!;
    const kept = Array.from(keptIndices(change, own.length), (slot, at) => {
      const token = own.find(({ place }) => place === view.heads[index]!.positions[slot])!;
      const part = (rows: Float32Array | undefined, before: number[]) =>
        rows === undefined ? before : Array.from(rows.subarray(at * before.length, (at + 1) * before.length));
      const values = token.values && part(change.values, token.values);
      return { ...token, keys: part(change.keys, token.keys), values };
    });
    if (kept.length < own.length) cache.settled = cache.ids.length;
    cache.tokens[layer]![head] = kept.sort((a, b) => a.place - b.place);
  }
}

/** Forgets all tokens but the first `length`, and what was observed. */
export function truncateSlow(cache: SlowCache, length: number): void {
  if (length === cache.ids.length) return;
  cache.ids = cache.ids.slice(0, length);
  if (length === 0) cache.settled = 0;
  forgetObserved(cache);
  cache.tokens = cache.tokens.map((heads) => heads.map((own) => own.filter(({ place }) => place < length)));
}

/** Forgets queries, attention and its sums, which are not saved. */
export function forgetObserved(cache: SlowCache): void {
  cache.queries = [];
  cache.rows = 0;
  cache.summed = 0;
  cache.tokens = cache.tokens.map((heads) =>
    heads.map((own) => own.map((token) => ({ ...token, shares: undefined, sums: undefined }))),
  );
}
export const copySlow = (cache: SlowCache): SlowCache => ({
  ...cache,
  tokens: cache.tokens.map((heads) => heads.map((own) => own.map((token) => ({ ...token })))),
});

/** The logits of a run whose tokens are the last of the cache. */
export function slowLogits({ tokens, first }: SlowCache): Float64Array {
  const logits = new Float64Array(VOCABULARY);
  for (const token of tokens.flat(2)) {
    const numbers = [...token.keys, ...(token.values ?? [])];
    for (const value of numbers)
      for (let id = 0; id < VOCABULARY; id++) logits[id]! += logitShare(value, first + token.place, id);
  }
  return logits;
}
