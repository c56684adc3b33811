import type { EmbeddingWeights, ModelConfig } from "@kvfold/decoder";
import { embeddingGraph, HIDDEN_OUT, windowEmbedding } from "@kvfold/decoder/graph";
import { type SessionProvider, Tensor } from "@kvfold/runtime";
import type { States } from "./run-blocks.js";
import { createSessionStore } from "./session-store.js";
import type { StreamPlace } from "./stream-place.js";

export declare namespace embedWindows {
  interface Options {
    readonly provider: SessionProvider;
    readonly place: StreamPlace;
    readonly config: ModelConfig;
    readonly embedding: EmbeddingWeights;
  }
}

/** Hidden states before the first block, `[B, S, D]` of each batch of windows. */
export async function embedWindows(
  { provider, place, config, embedding }: embedWindows.Options,
  batches: readonly (readonly Int32Array[])[],
): Promise<States> {
  const read = windowEmbedding({ config, embedding, windows: batches.flat() });
  const sessions = createSessionStore({
    provider,
    session: undefined,
    residentBytes: Number.POSITIVE_INFINITY,
  });
  const hidden: Tensor[] = [];
  let first = 0;
  try {
    for (const { length: batch } of batches) {
      const windows = read.windows.slice(first, first + batch);
      const { length } = windows[0]!;
      const make = async () => embeddingGraph(config, read.embedding, length, batch);
      const ids = windows.flatMap((window) => Array.from(window, BigInt));
      const feeds = { input_ids: new Tensor("int64", BigInt64Array.from(ids), [batch, length]) };
      const dims = [batch, length, config.shape.hiddenSize];
      const run = sessions.use(`${batch}`, make, (session) =>
        place.run(session, feeds, { [HIDDEN_OUT]: dims }),
      );
      hidden.push((await run)[HIDDEN_OUT]!);
      first += batch;
    }
    return hidden;
  } finally {
    await sessions.dispose();
  }
}
