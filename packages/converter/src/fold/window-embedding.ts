import { type HiddenStates, tokenFeeds } from "@kvfold/calibration";
import type { EmbeddingWeights, ModelConfig } from "@kvfold/decoder";
import { embeddingGraph, HIDDEN_OUT } from "../graph/calibration-graphs.js";
import type { WindowRunner } from "./window-runner.js";

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

/** Fills `hidden` with the hidden states before the first block. */
export async function embedWindows(
  runner: WindowRunner,
  config: ModelConfig,
  { embedding, windows }: WindowEmbedding,
  hidden: HiddenStates,
): Promise<void> {
  const graph = embeddingGraph(config, embedding, runner.length);
  await runner.run(graph, { feeds: tokenFeeds(windows), outputs: { [HIDDEN_OUT]: hidden } });
}
