import type { EmbeddingWeights, ModelConfig } from "@kvfold/decoder";
import { type SessionProvider, Tensor } from "@kvfold/runtime";
import { embeddingGraph, HIDDEN_OUT } from "./block-graphs.js";
import { floatsOf } from "./tensors.js";

/** Hidden states before the first block, `[S * D]` of each window. The graph has the rows of these tokens and no others. */
export async function embedWindows(
  provider: SessionProvider,
  { config, embedding }: { readonly config: ModelConfig; readonly embedding: EmbeddingWeights },
  windows: readonly Int32Array[],
): Promise<readonly Float32Array[]> {
  const length = windows[0]!.length;
  const { table, ids } = usedRows(embedding.table, config.embedding.width, windows);
  const session = await provider.createSession(embeddingGraph(config, { ...embedding, table }, length));
  try {
    const hidden: Float32Array[] = [];
    for (const window of ids) {
      const feeds = { input_ids: new Tensor("int64", BigInt64Array.from(window, BigInt), [1, length]) };
      hidden.push(floatsOf(await session.run(feeds), HIDDEN_OUT));
    }
    return hidden;
  } finally {
    await session.dispose();
  }
}

function usedRows(table: Float32Array, width: number, windows: readonly Int32Array[]) {
  const rows = new Map<number, number>();
  const numberOf = (token: number): number => {
    const row = rows.get(token) ?? rows.size;
    rows.set(token, row);
    return row;
  };
  const ids = windows.map((window) => window.map(numberOf));
  const used = new Float32Array(rows.size * width);
  for (const [token, row] of rows) used.set(table.subarray(token * width, (token + 1) * width), row * width);
  return { table: used, ids };
}
