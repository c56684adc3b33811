import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../test/reference/synthetic-checkpoint.js";
import { loadEmbedding } from "../checkpoint/load-weights.js";
import { windowEmbedding } from "./window-embedding.js";

const windows = [Int32Array.of(7, 60, 7), Int32Array.of(0, 7, 12)];
const WIDTH = Number(tinyLlama.hidden_size);

describe("windowEmbedding", () => {
  it("keeps the rows of the windows' tokens, in the order in which they come", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const { config } = checkpoint;
    const embedding = await loadEmbedding(checkpoint);
    const compact = windowEmbedding({ config, embedding, windows });
    expect(compact.windows).toEqual([Int32Array.of(0, 1, 0), Int32Array.of(2, 0, 3)]);
    const rows = [7, 60, 0, 12].flatMap((token) => [
      ...embedding.table.subarray(token * WIDTH, (token + 1) * WIDTH),
    ]);
    expect([...compact.embedding.table]).toEqual(rows);
    expect(windowEmbedding({ config, embedding, windows: [] }).embedding.table).toHaveLength(0);
  });
});
