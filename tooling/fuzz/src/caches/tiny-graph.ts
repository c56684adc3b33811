import {
  type Feeds,
  type Fetches,
  type Results,
  RuntimeError,
  type Session,
  Tensor,
  type TensorInfo,
} from "@kvfold/runtime";

/** A layer of the graph: heads that keep tokens of their own, and what is cached of a token in each. */
export interface TinyLayer {
  readonly heads: number;
  /** Query heads of the layer; 0 where it gives out no observations. */
  readonly queryHeads: number;
  /** Parts of the cache, `latent` or `key` and `value`: KV heads and numbers of each. */
  readonly parts: Readonly<Record<string, { readonly heads: number; readonly size: number }>>;
}

/** Slots of a cache are a multiple of this many; joint latents go by as many. */
const SLOTS = 4;
export const VOCABULARY = 5;

/** A number in [-1, 1) that depends on all of `values`. */
function numberOf(...values: readonly number[]): number {
  let state = 0x811c9dc5;
  for (const value of values) {
    state = Math.imul(state ^ value, 0x01000193);
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
    state ^= state >>> 13;
  }
  return Math.fround((state >>> 0) / 2 ** 31 - 1);
}

/** What is cached of a token: channel `index` of a KV head of a part. */
export const rowNumber = (id: number, position: number, part: number, head: number, index: number): number =>
  numberOf(id, position, part, head, index);

/** Before the softmax. */
const scoreOf = (query: number, key: number, layer: number, head: number): number =>
  3 * numberOf(query, key, layer, head, 77);

export const queryNumber = (position: number, layer: number, head: number, index: number): number =>
  numberOf(position, layer, head, index, 55);

/** What a cached number at a position adds to a logit. */
export const logitShare = (value: number, position: number, token: number): number =>
  value * numberOf(position, token, 33);

/** The tokens of a run, and how many of them it was asked to give out. */
export interface TinyRun {
  readonly ids: readonly number[];
  readonly queries: number;
  readonly attention: number;
  readonly attentionSums: number;
}

export interface TinyGraph {
  readonly session: Session;
  /** Lets a run fail after so many others. */
  failAfter(runs: number): void;
  /** Rows of attention that the run was asked for that failed last. */
  readonly failedRows: number;
}

/**
 * A policy graph without weights: it caches numbers that tell their token, and its logits are sums of all that is cached.
 *
 * @param onRun - Called for each run that goes well, before its results are taken in.
 */
export function createTinyGraph(layers: readonly TinyLayer[], onRun: (run: TinyRun) => void): TinyGraph {
  let failsAfter = Number.POSITIVE_INFINITY;
  let failedRows = 0;
  const run = async (feeds: Feeds, fetches?: Fetches): Promise<Results> => {
    const targets = targetsOf(fetches);
    if (failsAfter-- <= 0) {
      failsAfter = Number.POSITIVE_INFINITY;
      failedRows = scalar(feeds, "observed_attention");
      for (const { data } of Object.values(targets)) (data as Float32Array).fill(Number.NaN);
      throw new RuntimeError("run-failed", FAILURE);
    }
    const ids = Array.from(feeds.input_ids!.data as BigInt64Array, Number);
    const asked = {
      ids,
      queries: scalar(feeds, "observed_queries"),
      attention: scalar(feeds, "observed_attention"),
      attentionSums: scalar(feeds, "observed_attention_sums"),
    };
    const results = compute(layers, feeds, asked);
    onRun(asked);
    return { ...results, ...writeInto(targets, results) };
  };
  return {
    session: { ...declare(layers), writesInPlace: true, run, dispose: async () => {} },
    failAfter(count) {
      failsAfter = count;
    },
    get failedRows() {
      return failedRows;
    },
  };
}

/** What a run is given for its outputs. */
const targetsOf = (fetches: Fetches = []): Results =>
  Object.fromEntries(Object.entries(fetches).filter(([, target]) => target instanceof Tensor)) as Results;

/** The results that are written into given tensors. */
function writeInto(targets: Results, results: Results): Results {
  for (const [name, { data, dims }] of Object.entries(targets)) {
    const [given, wanted] = [dims, results[name]!.dims].map((shape) => shape.join(" x "));
    if (given !== wanted)
      throw new Error(`expected a target of ${wanted} for ${name}, found one of ${given}`);
    (data as Float32Array).set(results[name]!.data as Float32Array);
  }
  return targets;
}

/** What a run says that was told to fail. */
const FAILURE = "the run failed, as it was told to";

const scalar = (feeds: Feeds, name: string): number => Number((feeds[name]?.data as BigInt64Array)?.[0] ?? 0);

function declare(layers: readonly TinyLayer[]): Pick<Session, "inputs" | "outputs"> {
  const int64 = (name: string, shape: TensorInfo["shape"]): TensorInfo => ({ name, type: "int64", shape });
  const float = (name: string, shape: TensorInfo["shape"]): TensorInfo => ({ name, type: "float32", shape });
  const pasts = layers.flatMap(({ parts }, layer) =>
    Object.entries(parts).map(([part, { heads, size }]) => ({
      name: `${layer}.${part}`,
      heads,
      size,
      layer,
    })),
  );
  const hasLatents = layers.some(({ parts }) => "latent" in parts);
  return {
    inputs: [
      int64("input_ids", ["batch", "tokens"]),
      int64("position_ids", ["batch", "tokens"]),
      int64("num_logits_to_keep", []),
      ...(hasLatents ? [int64("past_length", [])] : []),
      ...pasts.map(({ name, heads, size, layer }) =>
        float(`past_key_values.${name}`, ["batch", heads, `past_slots_${SLOTS}.${layer}`, size]),
      ),
      ...layers.map(({ heads }, layer) =>
        int64(`past_positions.${layer}`, ["batch", heads, `slots.${layer}`]),
      ),
    ],
    outputs: [
      float("logits", ["batch", "kept", VOCABULARY]),
      ...pasts.map(({ name, heads, size }) =>
        float(`new_key_values.${name}`, ["batch", heads, "tokens", size]),
      ),
      ...layers.flatMap(({ queryHeads, parts }, layer) =>
        queryHeads === 0
          ? []
          : [
              float(`queries.${layer}`, ["batch", queryHeads, "observed", parts.key!.size]),
              float(`attention.${layer}`, ["batch", queryHeads, "observed", "slots"]),
              float(`attention_sums.${layer}`, ["batch", queryHeads, "slots"]),
            ],
      ),
    ],
  };
}

function compute(layers: readonly TinyLayer[], feeds: Feeds, { ids, ...wanted }: TinyRun): Results {
  const positions = Array.from(feeds.position_ids!.data as BigInt64Array, Number);
  const results: Record<string, Tensor> = {};
  const logits = new Float64Array(VOCABULARY);
  for (const [layer, { heads, parts, queryHeads }] of layers.entries()) {
    const past = feeds[`past_positions.${layer}`]!;
    const capacity = past.dims[2]!;
    if (capacity % SLOTS !== 0) throw new Error(`expected a multiple of ${SLOTS} slots, found ${capacity}`);
    const places = Array.from(past.data as BigInt64Array, Number);
    for (const [index, [part, { heads: own, size }]] of Object.entries(parts).entries()) {
      const cached = feeds[`past_key_values.${layer}.${part}`]!.data as Float32Array;
      const rows = new Float32Array(own * ids.length * size);
      for (let head = 0; head < own; head++) {
        const ragged = Math.floor(head / (own / heads));
        for (let slot = 0; slot < capacity; slot++) {
          const place = places[ragged * capacity + slot]!;
          for (let at = 0; place >= 0 && at < size; at++)
            addToLogits(logits, cached[(head * capacity + slot) * size + at]!, place);
        }
        for (const [token, id] of ids.entries())
          for (let at = 0; at < size; at++) {
            const value = rowNumber(id, positions[token]!, 10 * layer + index, head, at);
            rows[(head * ids.length + token) * size + at] = value;
            addToLogits(logits, value, positions[token]!);
          }
      }
      results[`new_key_values.${layer}.${part}`] = new Tensor("float32", rows, [1, own, ids.length, size]);
    }
    if (queryHeads > 0 && wanted.queries > 0)
      results[`queries.${layer}`] = queriesOf(
        positions.slice(-wanted.queries),
        layer,
        queryHeads,
        parts.key!.size,
      );
    const standing = { positions, places, capacity, layer, heads, queryHeads };
    if (queryHeads > 0 && wanted.attention > 0)
      results[`attention.${layer}`] = attentionOf(standing, wanted.attention);
    if (queryHeads > 0 && wanted.attentionSums > 0)
      results[`attention_sums.${layer}`] = sumsOf(attentionOf(standing, wanted.attentionSums));
  }
  const kept = scalar(feeds, "num_logits_to_keep") || ids.length;
  const data = new Float32Array(kept * VOCABULARY);
  for (let row = 0; row < kept; row++) data.set(logits, row * VOCABULARY);
  return { ...results, logits: new Tensor("float32", data, [1, kept, VOCABULARY]) };
}

function addToLogits(logits: Float64Array, value: number, position: number): void {
  for (let token = 0; token < VOCABULARY; token++) logits[token]! += logitShare(value, position, token);
}

function queriesOf(positions: readonly number[], layer: number, heads: number, size: number): Tensor {
  const data = Float32Array.from({ length: heads * positions.length * size }, (_, at) => {
    const row = Math.floor(at / size);
    return queryNumber(
      positions[row % positions.length]!,
      layer,
      Math.floor(row / positions.length),
      at % size,
    );
  });
  return new Tensor("float32", data, [1, heads, positions.length, size]);
}

interface Standing {
  readonly positions: readonly number[];
  readonly places: readonly number[];
  readonly capacity: number;
  readonly layer: number;
  readonly heads: number;
  readonly queryHeads: number;
}

function attentionOf(
  { positions, places, capacity, layer, heads, queryHeads }: Standing,
  count: number,
): Tensor {
  const queries = positions.slice(-count);
  const width = capacity + positions.length;
  const data = new Float32Array(queryHeads * queries.length * width);
  for (let head = 0; head < queryHeads; head++) {
    const ragged = Math.floor(head / (queryHeads / heads));
    const keys = [...places.slice(ragged * capacity, (ragged + 1) * capacity), ...positions];
    for (const [row, query] of queries.entries())
      data.set(sharesOf(query, keys, layer, head), (head * queries.length + row) * width);
  }
  return new Tensor("float32", data, [1, queryHeads, queries.length, width]);
}

/** The sums `[1, H, X]` of rows `[1, H, W, X]`. */
function sumsOf({ data, dims }: Tensor): Tensor {
  const [, heads, rows, width] = dims as readonly [number, number, number, number];
  const sums = Float32Array.from({ length: heads * width }, (_, at) => {
    const first = Math.floor(at / width) * rows * width + (at % width);
    return sumOf(Array.from({ length: rows }, (_, row) => (data as Float32Array)[first + row * width]!));
  });
  return new Tensor("float32", sums, [1, heads, width]);
}

/** The sum of what some queries paid one key, oldest first, as the graph gives it out. */
export const sumOf = (shares: readonly number[]): number =>
  Math.fround(shares.reduce((sum, share) => sum + share, 0));

/** How a query shares its attention among keys at these positions, -1 for none. */
export function sharesOf(query: number, keys: readonly number[], layer: number, head: number): Float32Array {
  const weights = keys.map((key) =>
    key < 0 || key > query ? 0 : Math.exp(scoreOf(query, key, layer, head)),
  );
  // In the order of positions, so that slots make no difference to the last bit.
  const seen = keys.map((key, at) => [key, weights[at]!] as const).sort(([a], [b]) => a - b);
  const total = seen.reduce((sum, [, weight]) => sum + weight, 0);
  return Float32Array.from(weights, (weight) => weight / total);
}
