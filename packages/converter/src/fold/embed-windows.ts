import { type HiddenStates, tokenFeeds } from "@kvfold/calibration";
import type { ModelConfig } from "@kvfold/decoder";
import { embeddingGraph, HIDDEN_OUT, type WindowEmbedding } from "@kvfold/decoder/graph";
import type { WindowRunner } from "./window-runner.js";

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
