import { HIDDEN_IN } from "@kvfold/decoder/graph";
import { createRandom, Tensor } from "@kvfold/runtime";
import { rowsAtATime } from "./head-loss.js";
import { DRAWN_IN, PREDICTED, predictionGraph } from "./prediction-graph.js";
import type { SessionStore } from "./session-store.js";
import { rowsTensor } from "./tensors.js";

/** Gives the token that is to follow each row of hidden states `[S, D]` after the last block. */
export type TokenSource = (hidden: Float32Array) => Promise<Int32Array>;

export declare namespace drawnTokens {
  interface Options {
    readonly parts: predictionGraph.Options;
    readonly sessions: SessionStore;
    readonly seed: number;
    /** Tokens of the same text that are drawn elsewhere, before these. */
    readonly before: number;
  }
}

/** Tokens that are drawn from what the model predicts. The same seed, place in the text and rows give the same tokens. */
export function drawnTokens({ parts, sessions, seed, before }: drawnTokens.Options): TokenSource {
  const { hiddenSize: width, vocabSize } = parts.config.shape;
  const random = createRandom(seed);
  for (let token = 0; token < before; token++) random();
  const rows = rowsAtATime(vocabSize);
  return (hidden) =>
    sessions.use(
      "predictions",
      async () => predictionGraph(parts),
      async (session) => {
        const drawn = Float32Array.from({ length: hidden.length / width }, random);
        const tokens = new Int32Array(drawn.length);
        for (let start = 0; start < drawn.length; start += rows) {
          const some = drawn.subarray(start, start + rows);
          const states = hidden.subarray(start * width, (start + some.length) * width);
          const results = await session.run({
            [HIDDEN_IN]: rowsTensor(states, width),
            [DRAWN_IN]: new Tensor("float32", some, [1, some.length, 1]),
          });
          tokens.set(Int32Array.from(results[PREDICTED]!.data as BigInt64Array, Number), start);
        }
        return tokens;
      },
    );
}
