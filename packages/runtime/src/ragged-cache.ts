import type { LayerChange, LayerView, PolicyNeeds } from "@kvfold/policies";
import {
  type CacheLayout,
  cacheSlots,
  OBSERVATIONS,
  type Observation,
  observedInput,
  type RaggedLayer,
} from "./cache-layout.js";
import { headView } from "./head-view.js";
import type { KvCache } from "./kv-cache.js";
import { addSums, attentionByHead, type ObservedLayer } from "./observed-layer.js";
import { type Results, Tensor } from "./port.js";
import {
  appendRows,
  changeRagged,
  copyRaggedLayer,
  createRaggedLayer,
  fillRagged,
  type RaggedLayerCache,
  raggedBytes,
  truncateRagged,
} from "./ragged-layer.js";
import type { SavedLayer } from "./saved-ragged-cache.js";
import { spareOutputs } from "./spare-outputs.js";
import { int64 } from "./tensors.js";

/** The cache of one sequence of which layers and heads may keep different tokens. */
export interface RaggedCache extends KvCache {
  /**
   * What policies look at is taken from the runs that follow, until it is set anew: attention of the last of them, queries and
   * sums of attention of all since a run of which none were taken.
   */
  observe(needs: PolicyNeeds): void;
  /** What a layer has cached now. */
  view(layer: number): LayerView;
  /** Changes a layer. Views of it are no longer valid. */
  change(layer: number, change: LayerChange): void;
  /** The layers as they are, to be saved before the cache is used again. */
  readonly layers: readonly RaggedLayerCache[];
  /** Takes in `length` tokens that another cache held, when it is empty. */
  fill(layers: readonly SavedLayer[], length: number, first: number): void;
  /** A cache of the same tokens that shares no memory with this one. */
  copy(): RaggedCache;
  /** Tokens that each head of each layer holds. */
  readonly lengths: readonly (readonly number[])[];
}

/** What a ragged cache starts from. */
interface Contents {
  readonly layers: RaggedLayerCache[];
  readonly observed: (ObservedLayer | undefined)[];
  /** Tokens read, those included that were dropped, and the position of the first. */
  length: number;
  first: number;
}

/** Radians per token of the rotary pairs of each layer, which views show. */
type LayerFrequencies = readonly (Float64Array | undefined)[];

export declare namespace createRaggedCache {
  interface Options {
    readonly inverseFrequencies?: LayerFrequencies;
    /** Whether runs write into tensors on the CPU that they are given for outputs; not unless given. */
    readonly writesInPlace?: boolean;
  }
}

/** An empty cache. `length` counts all tokens read, those included that were dropped. */
export function createRaggedCache(layout: CacheLayout, options: createRaggedCache.Options = {}): RaggedCache {
  const ragged = layout.ragged!;
  return raggedCache(layout, options, {
    layers: layout.layers.map((cache, layer) =>
      createRaggedLayer(cache, ragged[layer]!, layout.slotMultiple),
    ),
    observed: [],
    length: 0,
    first: 0,
  });
}

function raggedCache(
  layout: CacheLayout,
  options: createRaggedCache.Options,
  contents: Contents,
): RaggedCache {
  const { inverseFrequencies = [], writesInPlace = false } = options;
  const ragged = layout.ragged!;
  const { layers } = contents;
  const spare = spareOutputs();
  const attentionOutputs = ragged.flatMap(({ attention }) => attention ?? []);
  let needs: PolicyNeeds = {};
  let incoming = 0;
  /** What the graph gives out of some layer. */
  const observations = OBSERVATIONS.filter((what) => ragged.some((layer) => layer[what] !== undefined));
  /** Of how many tokens: no more than there are new ones. */
  const observedCount = (what: Observation): number => Math.min(needs[what] ?? 0, incoming);
  const commit = (rowsOf: (layer: number) => readonly Tensor[], added: readonly number[]) => {
    if (contents.length === 0) contents.first = added[0] ?? 0;
    for (const [index, layer] of layers.entries()) appendRows(layer, rowsOf(index), added, contents.first);
    contents.length += added.length;
  };
  /** The last run's attention, where this run's is of the same shape. Nobody may look at it from then on. */
  const takeAttention = (): Readonly<Record<string, Tensor>> => {
    const rows = observedCount("attention");
    if (rows === 0 || !writesInPlace) return {};
    const targets: Record<string, Tensor> = {};
    for (const [index, { attention, queryHeads }] of ragged.entries()) {
      const observed = contents.observed[index];
      contents.observed[index] = observed && { ...observed, attention: undefined };
      const dims = [1, queryHeads ?? 0, rows, layers[index]!.capacity + incoming];
      const target = attention && spare.take(attention, dims);
      if (target) targets[attention] = target;
    }
    return targets;
  };
  return {
    get length() {
      return contents.length;
    },
    get bytes() {
      return layers.reduce((sum, layer) => sum + raggedBytes(layer), 0);
    },
    get lengths() {
      return layers.map(({ lengths }) => Array.from(lengths));
    },
    reserve(count) {
      incoming = count;
    },
    feeds: () => ({
      ...Object.fromEntries(layers.flatMap((layer, index) => pastFeeds(layer, ragged[index]!))),
      ...(layout.indexInputs.includes("past_length") ? { past_length: int64([contents.length], []) } : {}),
      ...Object.fromEntries(
        observations.map((what) => [observedInput(what), int64([observedCount(what)], [])]),
      ),
    }),
    fetches() {
      const observed = observations
        .filter((what) => observedCount(what) > 0)
        .flatMap((what) => ragged.flatMap((layer) => layer[what] ?? []));
      const names = [...cacheSlots(layout).map(({ present }) => present), ...observed];
      return { ...Object.fromEntries(names.map((name) => [name, null])), ...takeAttention() };
    },
    commit(results, added) {
      if (writesInPlace) spare.keep(results, attentionOutputs);
      for (const [index, layer] of layers.entries())
        contents.observed[index] = observeResults(results, ragged[index]!, layer, {
          before: contents.observed[index],
          rows: needs.queries ?? 0,
          summed: observedCount("attentionSums"),
          added: added.length,
        });
      commit((layer) => layers[layer]!.slots.map(({ present }) => results[present]!), added);
    },
    observe(wanted) {
      needs = wanted;
    },
    view: (index) => ({
      layer: index,
      layers: layers.length,
      heads: Array.from({ length: layers[index]!.heads }, (_, head) =>
        headView(layers[index]!, head, {
          queryHeads: queryHeadsOf(ragged[index]!),
          observed: contents.observed[index],
        }),
      ),
      seen: contents.length,
      run: layers[index]!.run,
      inverseFrequencies: inverseFrequencies[index],
    }),
    change(index, change) {
      if (change === undefined) return;
      const kept = changeRagged(layers[index]!, change);
      const observed = contents.observed[index];
      if (observed !== undefined)
        contents.observed[index] = { ...observed, kept: joinKept(observed.kept, kept) };
    },
    layers,
    fill(saved, length, first) {
      for (const [index, layer] of layers.entries()) fillRagged(layer, saved[index]!, first);
      Object.assign(contents, { length, first });
    },
    tensors: () => layers.flatMap(({ tensors }) => tensors),
    restore(tensors, positions) {
      let next = 0;
      const rows = layers.map(({ slots }) => slots.map(() => tensors[next++]!));
      commit((layer) => rows[layer]!, positions);
    },
    truncate(count) {
      if (count === contents.length) return;
      contents.observed.fill(undefined);
      for (const layer of layers) truncateRagged(layer, count);
      contents.length = count;
    },
    clear() {
      this.truncate(0);
    },
    copy() {
      spare.clear();
      return raggedCache(layout, options, {
        ...contents,
        layers: layers.map(copyRaggedLayer),
        observed: [...contents.observed],
      });
    },
    dispose() {
      spare.clear();
      layers.length = 0;
    },
  };
}

function pastFeeds(
  { slots, tensors, positions, heads, capacity }: RaggedLayerCache,
  { positions: name }: RaggedLayer,
): readonly (readonly [string, Tensor])[] {
  return [
    ...slots.map(({ past }, index) => [past, tensors[index]!] as const),
    [name, new Tensor("int64", positions, [1, heads, capacity])],
  ];
}

/** What a run was asked for. */
interface Asked {
  readonly before: ObservedLayer | undefined;
  /** Rows of queries that are looked at. */
  readonly rows: number;
  /** Queries whose attention is summed, of all that are new. */
  readonly summed: number;
  readonly added: number;
}

/** What a run gave out of the last queries, beside the layer as it was when it ran. */
function observeResults(
  results: Results,
  graph: RaggedLayer,
  layer: RaggedLayerCache,
  { before, rows, summed, added }: Asked,
): ObservedLayer | undefined {
  const result = (name: string | undefined) => (name === undefined ? undefined : results[name]);
  const [queries, attention, sums] = [graph.queries, graph.attention, graph.attentionSums].map(result);
  if ((queries ?? attention ?? sums) === undefined) return undefined;
  const { capacity, lengths } = layer;
  const run = { queryHeads: queryHeadsOf(graph), capacity, lengths };
  return {
    queryHeads: run.queryHeads,
    queries: queries && lastRuns([...(before?.queries ?? []), queries], rows),
    queryRows: rows,
    attention: attention && attentionByHead(attention, run),
    sums: sums && addSums(before, { ...run, sums, queries: summed, added }),
    kept: [],
  };
}

/** The last of some runs that together have `rows` rows. */
function lastRuns(runs: readonly Tensor[], rows: number): readonly Tensor[] {
  let first = runs.length - 1;
  for (let count = runs[first]!.dims[2]!; first > 0 && count < rows; first--)
    count += runs[first - 1]!.dims[2]!;
  return runs.slice(first);
}

/** Query heads that read each ragged head; 1 where the graph does not say. */
const queryHeadsOf = ({ queryHeads, heads }: Pick<RaggedLayer, "queryHeads" | "heads">): number =>
  queryHeads === undefined ? 1 : queryHeads / heads;

/**
 * Indices of the tokens of each head among those there were after the run, where it has dropped some. They are listed when they
 * are first asked for: most steps end without.
 */
const joinKept = (
  before: ObservedLayer["kept"],
  changes: ReturnType<typeof changeRagged>,
): ObservedLayer["kept"] =>
  changes.map((change, head) => {
    const earlier = before[head];
    if (change === undefined || earlier === undefined) return change ?? earlier;
    return () => {
      const places = earlier();
      return change().map((index) => places[index]!);
    };
  });
