import type { EmbeddingWeights, ModelConfig } from "@kvfold/decoder";
import { embeddingGraph, HIDDEN_OUT, windowEmbedding } from "@kvfold/decoder/graph";
import { type SessionProvider, Tensor } from "@kvfold/runtime";
import type { States } from "./run-blocks.js";
import { createSessionStore, type SessionStore } from "./session-store.js";
import type { StreamPlace } from "./stream-place.js";

export declare namespace embedWindows {
  interface Options {
    readonly provider: SessionProvider;
    readonly place: StreamPlace;
    readonly config: ModelConfig;
    readonly embedding: EmbeddingWeights;
    /** Sessions that stay open, which are used where hidden states lie on a device. */
    readonly openSessions: SessionStore;
  }
}

/**
 * Hidden states before the first block, `[B, S, D]` of each batch of windows. In the memory of the processor, only the rows of
 * the embedding that the windows read are opened.
 */
export async function embedWindows(
  options: embedWindows.Options,
  batches: readonly (readonly Int32Array[])[],
): Promise<States> {
  const { provider, place, config, embedding, openSessions } = options;
  if (place.isDevice) return embedWith(openSessions, options, batches);
  const read = windowEmbedding({ config, embedding, windows: batches.flat() });
  const rows = read.windows.values();
  const numbered = batches.map((batch) => batch.map(() => rows.next().value!));
  const sessions = createSessionStore({
    provider,
    session: undefined,
    residentBytes: Number.POSITIVE_INFINITY,
  });
  try {
    return await embedWith(sessions, { ...options, embedding: read.embedding }, numbered);
  } finally {
    await sessions.dispose();
  }
}

async function embedWith(
  sessions: SessionStore,
  { place, config, embedding }: embedWindows.Options,
  batches: readonly (readonly Int32Array[])[],
): Promise<States> {
  const hidden: Tensor[] = [];
  for (const windows of batches) {
    const [batch, length] = [windows.length, windows[0]!.length];
    const ids = windows.flatMap((window) => Array.from(window, BigInt));
    const feeds = { input_ids: new Tensor("int64", BigInt64Array.from(ids), [batch, length]) };
    const outputs = { [HIDDEN_OUT]: [batch, length, config.shape.hiddenSize] };
    const results = await sessions.use(
      `embedding ${batch} x ${length}`,
      async () => embeddingGraph(config, embedding, length, batch),
      (session) => place.run(session, feeds, outputs),
    );
    hidden.push(results[HIDDEN_OUT]!);
  }
  return hidden;
}
