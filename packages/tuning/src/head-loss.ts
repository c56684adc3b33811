import type { EmbeddingWeights, HeadWeights, ModelConfig } from "@kvfold/decoder";
import { HIDDEN_IN } from "@kvfold/decoder/graph";
import { Tensor } from "@kvfold/runtime";
import { GRADIENT } from "./block-graphs.js";
import { headGradientGraph, headGraph, LOSS, type Loss, NEXT_TOKENS, ORIGINAL_IN } from "./head-graph.js";
import type { SessionStore } from "./session-store.js";
import { feedsOf, floatsOf, rowsTensor } from "./tensors.js";

/** A window behind the last block. */
export interface HeadRows {
  /** `[S, D]`. */
  readonly hidden: Float32Array;
  /** `[S, D]` of the original, for `distillation`. */
  readonly original: Float32Array | undefined;
  /** `[S]`: the token that follows each row. */
  readonly next: Int32Array;
}

/** The loss of a model's last hidden states. */
export interface HeadLoss {
  /** The summed loss of a window. */
  loss(rows: HeadRows): Promise<number>;
  /** The summed loss, and the gradient `[S, D]` of `weight` times it. */
  gradient(
    rows: HeadRows,
    weight: number,
  ): Promise<{ readonly loss: number; readonly gradient: Float32Array }>;
}

export declare namespace createHeadLoss {
  interface Options {
    readonly config: ModelConfig;
    readonly embedding: EmbeddingWeights;
    readonly head: HeadWeights;
    readonly loss: Loss;
    readonly sessions: SessionStore;
  }
}

/** Numbers of one matrix of logits: rows are taken so many at a time that it is no larger. */
const LOGITS = 2 ** 22;

/** Rows that go through the head at once. */
export const rowsAtATime = (vocabSize: number): number => Math.max(1, Math.floor(LOGITS / vocabSize));

export function createHeadLoss({ sessions, ...options }: createHeadLoss.Options): HeadLoss {
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
          const gradient = new Float32Array(rows.hidden.length);
          let total = 0;
          for (const chunk of chunksOf(rows, width, atATime)) {
            const results = await session.run(feedsOf(session, chunkFeeds(chunk, width, weight)));
            total += floatsOf(results, LOSS)[0]!;
            gradient.set(floatsOf(results, GRADIENT + HIDDEN_IN), chunk.start * width);
          }
          return { loss: total, gradient };
        },
      ),
  };
}

interface Chunk extends HeadRows {
  readonly start: number;
}

function* chunksOf({ hidden, original, next }: HeadRows, width: number, rows: number): Generator<Chunk> {
  for (let start = 0; start < next.length; start += rows) {
    const end = Math.min(start + rows, next.length);
    const cut = (states: Float32Array) => states.subarray(start * width, end * width);
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
