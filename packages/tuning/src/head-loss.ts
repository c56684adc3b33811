import { HIDDEN_IN } from "@kvfold/decoder/graph";
import { Tensor } from "@kvfold/runtime";
import { GRADIENT } from "./block-graphs.js";
import { deviceHeadGraph } from "./device-head-graph.js";
import { headGradientGraph, headGraph, LOSS, NEXT_TOKENS, ORIGINAL_IN } from "./head-graph.js";
import type { SessionStore } from "./session-store.js";
import type { StreamPlace } from "./stream-place.js";
import { feedsOf, floatsOf, rowsTensor } from "./tensors.js";

/** A batch of windows after the last block. */
export interface HeadRows {
  /** `[B, S, D]`. */
  readonly hidden: Tensor;
  /** `[B, S, D]` of the original, for `distillation`. */
  readonly original: Tensor | undefined;
  /** `[B * S]`: the token that follows each row. */
  readonly next: Int32Array;
}

/** The loss of a model's last hidden states. */
export interface HeadLoss {
  /** The summed loss of a batch. */
  loss(rows: HeadRows): Promise<number>;
  /** The summed loss, and the gradient `[B, S, D]` of `weight` times it. */
  gradient(rows: HeadRows, weight: number): Promise<{ readonly loss: number; readonly gradient: Tensor }>;
}

export declare namespace createHeadLoss {
  interface Options extends headGraph.Options {
    readonly sessions: SessionStore;
    readonly place: StreamPlace;
  }
}

export const createHeadLoss = (options: createHeadLoss.Options): HeadLoss =>
  options.place.isDevice ? createDeviceHeadLoss(options) : createHostHeadLoss(options);

/** Numbers of one matrix of logits: rows are taken so many at a time that it is no larger. */
const LOGITS = 2 ** 22;

/** Rows that go through the head at once. */
export const rowsAtATime = (vocabSize: number): number => Math.max(1, Math.floor(LOGITS / vocabSize));

function createHostHeadLoss({ sessions, ...options }: createHeadLoss.Options): HeadLoss {
  const { hiddenSize: width, vocabSize } = options.config.shape;
  const atATime = rowsAtATime(vocabSize);
  const make = async () => headGraph(options);
  return {
    loss: (rows) =>
      sessions.use("head", make, async (session) => {
        let total = 0;
        for (const chunk of chunksOf(rows, width, atATime))
          total += floatsOf(await session.run(feedsOf(session, chunkFeeds(chunk, width, 1))), LOSS)[0]!;
        return total;
      }),
    gradient: (rows, weight) =>
      sessions.use(
        "head gradient",
        async () => headGradientGraph(await make()),
        async (session) => {
          const { size, dims } = rows.hidden;
          const gradient = new Float32Array(size);
          let total = 0;
          for (const chunk of chunksOf(rows, width, atATime)) {
            const results = await session.run(feedsOf(session, chunkFeeds(chunk, width, weight)));
            total += floatsOf(results, LOSS)[0]!;
            gradient.set(floatsOf(results, GRADIENT + HIDDEN_IN), chunk.start * width);
          }
          return { loss: total, gradient: new Tensor("float32", gradient, dims) };
        },
      ),
  };
}

/** The same with one graph for a whole batch, whose gradient stays on the device. */
function createDeviceHeadLoss({ sessions, place, ...options }: createHeadLoss.Options): HeadLoss {
  const graphOf = ({ dims }: Tensor) => deviceHeadGraph({ ...options, batch: dims[0]!, length: dims[1]! });
  const nameOf = (name: string, { dims }: Tensor) => `${name} ${dims.join(" x ")}`;
  const lossOf = async (loss: Tensor) => {
    const [value] = await place.read(loss);
    place.release(loss);
    return value!;
  };
  return {
    loss: (rows) =>
      sessions.use(
        nameOf("head", rows.hidden),
        async () => graphOf(rows.hidden),
        async (session) => lossOf((await place.run(session, deviceFeeds(rows, 1), { [LOSS]: [1] }))[LOSS]!),
      ),
    gradient: (rows, weight) =>
      sessions.use(
        nameOf("head gradient", rows.hidden),
        async () => headGradientGraph(graphOf(rows.hidden)),
        async (session) => {
          const outputs = { [LOSS]: [1], [GRADIENT + HIDDEN_IN]: rows.hidden.dims };
          const results = await place.run(session, deviceFeeds(rows, weight), outputs);
          return { loss: await lossOf(results[LOSS]!), gradient: results[GRADIENT + HIDDEN_IN]! };
        },
      ),
  };
}

interface Chunk {
  readonly start: number;
  readonly hidden: Float32Array;
  readonly original: Float32Array | undefined;
  readonly next: Int32Array;
}

function* chunksOf({ hidden, original, next }: HeadRows, width: number, rows: number): Generator<Chunk> {
  for (let start = 0; start < next.length; start += rows) {
    const end = Math.min(start + rows, next.length);
    const cut = ({ data }: Tensor) => (data as Float32Array).subarray(start * width, end * width);
    yield {
      start,
      hidden: cut(hidden),
      original: original && cut(original),
      next: next.subarray(start, end),
    };
  }
}

const chunkFeeds = ({ hidden, original, next }: Chunk, width: number, weight: number) => ({
  [HIDDEN_IN]: rowsTensor(hidden, width),
  ...(original && { [ORIGINAL_IN]: rowsTensor(original, width) }),
  [NEXT_TOKENS]: new Tensor("int64", BigInt64Array.from(next, BigInt), [1, next.length]),
  [GRADIENT + LOSS]: new Tensor("float32", Float32Array.of(weight), [1]),
});

const deviceFeeds = ({ hidden, original, next }: HeadRows, weight: number) => ({
  [HIDDEN_IN]: hidden,
  ...(original && { [ORIGINAL_IN]: original }),
  [NEXT_TOKENS]: new Tensor("int32", next, [next.length, 1]),
  [GRADIENT + LOSS]: new Tensor("float32", Float32Array.of(weight), [1]),
});
