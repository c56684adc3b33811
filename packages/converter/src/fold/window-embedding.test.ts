import { memoryHiddenStates } from "@kvfold/calibration";
import { loadEmbedding } from "@kvfold/decoder";
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { embedWindows, windowEmbedding } from "./window-embedding.js";
import { createWindowRunner } from "./window-runner.js";

const windows = [Int32Array.of(7, 60, 7), Int32Array.of(0, 7, 12)];

describe("windowEmbedding", () => {
  it("keeps the rows of the windows' tokens, in the order in which they come", async () => {
    const { config, embedding } = await setUp();
    const compact = windowEmbedding({ config, embedding, windows });
    expect(compact.windows).toEqual([Int32Array.of(0, 1, 0), Int32Array.of(2, 0, 3)]);
    const rows = [7, 60, 0, 12].flatMap((token) => [...rowOf(embedding.table, token)]);
    expect([...compact.embedding.table]).toEqual(rows);
    expect(windowEmbedding({ config, embedding, windows: [] }).embedding.table).toHaveLength(0);
  });

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
});

const WIDTH = Number(tinyLlama.hidden_size);

const rowOf = (table: Float32Array, token: number): Float32Array =>
  table.subarray(token * WIDTH, (token + 1) * WIDTH);

async function setUp() {
  const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
  return { config: checkpoint.config, embedding: await loadEmbedding(checkpoint) };
}
