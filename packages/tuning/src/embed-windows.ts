import type { EmbeddingWeights, ModelConfig } from "@kvfold/decoder";
import { embeddingGraph, HIDDEN_OUT, windowEmbedding } from "@kvfold/decoder/graph";
import { type SessionProvider, Tensor } from "@kvfold/runtime";
import { floatsOf } from "./tensors.js";

/** Hidden states before the first block, `[S * D]` of each window. */
export async function embedWindows(
  provider: SessionProvider,
  { config, embedding }: { readonly config: ModelConfig; readonly embedding: EmbeddingWeights },
  windows: readonly Int32Array[],
): Promise<readonly Float32Array[]> {
  const length = windows[0]!.length;
  const read = windowEmbedding({ config, embedding, windows });
  const session = await provider.createSession(embeddingGraph(config, read.embedding, length));
  try {
    const hidden: Float32Array[] = [];
    for (const window of read.windows) {
      const feeds = { input_ids: new Tensor("int64", BigInt64Array.from(window, BigInt), [1, length]) };
      hidden.push(floatsOf(await session.run(feeds), HIDDEN_OUT));
    }
    return hidden;
  } finally {
    await session.dispose();
  }
}
