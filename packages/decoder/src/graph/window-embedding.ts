import type { ModelConfig } from "../families/read-config.js";
import type { EmbeddingWeights } from "../model/decoder-weights.js";
import { emitEmbedding } from "./emit-embedding.js";
import { emitStaticPositions } from "./static-positions.js";
import { HIDDEN_OUT, type MemoryModel, windowGraph } from "./window-graph.js";

/** What token windows read of an embedding. */
export interface WindowEmbedding {
  /** Its table has the rows of the windows' tokens and no others: a vocabulary can be a third of a model. */
  readonly embedding: EmbeddingWeights;
  /** The windows, with numbers of these rows in place of token ids. */
  readonly windows: readonly Int32Array[];
}

export declare namespace windowEmbedding {
  interface Options {
    readonly config: ModelConfig;
    readonly embedding: EmbeddingWeights;
    readonly windows: readonly Int32Array[];
  }
}

/** Takes out of a model's embedding what the windows read; the whole of it is not needed from then on. */
export function windowEmbedding({ config, embedding, windows }: windowEmbedding.Options): WindowEmbedding {
  const { width } = config.embedding;
  const rows = new Map<number, number>();
  const numbered = windows.map((window) => window.map((token) => numberOf(rows, token)));
  const table = new Float32Array(rows.size * width);
  for (const [token, row] of rows)
    table.set(embedding.table.subarray(token * width, (token + 1) * width), row * width);
  return { embedding: { ...embedding, table }, windows: numbered };
}

function numberOf(rows: Map<number, number>, token: number): number {
  const known = rows.get(token);
  if (known !== undefined) return known;
  rows.set(token, rows.size);
  return rows.size - 1;
}

/**
 * Token ids to hidden states, for `batch` windows of `length` tokens at once: int64 `input_ids [B, S]` to `hidden_out`. The table
 * may have any number of rows; ids count them.
 */
export function embeddingGraph(
  config: ModelConfig,
  embedding: EmbeddingWeights,
  length: number,
  batch = 1,
): MemoryModel {
  const shape = { ...config.shape, vocabSize: embedding.table.length / config.embedding.width };
  return windowGraph(
    config,
    length,
    ({ e, output }) => {
      const ids = e.graph.input("input_ids", "int64", [batch, length]);
      const positions = emitStaticPositions(e, { length, batch });
      output(HIDDEN_OUT, emitEmbedding(e.at("model"), ids, embedding, shape, positions).hidden);
    },
    batch,
  );
}
