import { memoryHiddenStates } from "@kvfold/calibration";
import { loadEmbedding } from "@kvfold/decoder";
import { windowEmbedding } from "@kvfold/decoder/graph";
import { nodeProvider } from "@kvfold/runtime-node";
import { expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { embedWindows } from "./embed-windows.js";
import { createWindowRunner } from "./window-runner.js";

const windows = [Int32Array.of(7, 60, 7), Int32Array.of(0, 7, 12)];

it("embeds the windows as the whole table does", async () => {
  const { config, embedding } = await setUp();
  const runner = createWindowRunner({ windows, provider: nodeProvider() });
  const hidden = await memoryHiddenStates(2, 3 * WIDTH);
  await embedWindows(runner, config, windowEmbedding({ config, embedding, windows }), hidden);
  for (const [index, window] of windows.entries()) {
    const expected = [...window].flatMap((token) => [...rowOf(embedding.table, token)]);
    expect([...(await hidden.read(index))]).toEqual(expected);
  }
});

const WIDTH = Number(tinyLlama.hidden_size);

const rowOf = (table: Float32Array, token: number): Float32Array =>
  table.subarray(token * WIDTH, (token + 1) * WIDTH);

async function setUp() {
  const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
  return { config: checkpoint.config, embedding: await loadEmbedding(checkpoint) };
}
