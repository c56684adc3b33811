import { bytesSource } from "@kvfold/safetensors";
import { describe, expect, it } from "vitest";
import { memoryFolder, syntheticFiles, tinyLlama } from "../../test/reference/synthetic-checkpoint.js";
import { readConfig } from "../families/read-config.js";
import { openCheckpoint } from "./checkpoint.js";
import { loadEmbedding, loadHead } from "./load-weights.js";
import { type StoredTable, settleTiedHead } from "./tied-head.js";

const tied = { ...tinyLlama, tie_word_embeddings: true };

/** A table of more than one piece. */
const table = (last: number): StoredTable => {
  const bytes = new Uint8Array(70_000).fill(7);
  bytes[69_999] = last;
  const source = bytesSource(bytes);
  const read = async (start: number, end: number) => source.read(start, end);
  return { info: { dtype: "U8", start: 0, end: 70_000 }, read };
};

const settle = (tables: Readonly<Record<string, StoredTable>>, fields: object = tied) =>
  settleTiedHead("memory", readConfig(JSON.stringify(fields)), (name) => tables[name]);

describe("settleTiedHead", () => {
  const embedding = "model.embed_tokens.weight";
  const head = "lm_head.weight";

  it("keeps the config where one table is stored, or the same table twice", async () => {
    const config = readConfig(JSON.stringify(tied));
    expect(await settle({ [embedding]: table(1) })).toEqual({ config, notices: [] });
    expect(await settle({ [embedding]: table(1), [head]: table(1) })).toEqual({ config, notices: [] });
  });

  it("unties a head whose last byte differs, and says so", async () => {
    const { config, notices } = await settle({ [embedding]: table(1), [head]: table(2) });
    expect(config).toMatchObject({
      head: { tied: false },
      shape: { tiedEmbeddings: false },
      fields: { tie_word_embeddings: false },
    });
    expect(notices).toEqual([
      "memory: config.json ties model.embed_tokens and lm_head, but their values differ; each is used as it is stored, as in transformers 5",
    ]);
  });

  it("takes the head for an embedding that is not stored", async () => {
    const { config, notices } = await settle({ [head]: table(1) });
    expect([config.embedding.tokens, config.head.tied, notices]).toEqual(["lm_head", true, []]);
  });

  it("has nothing to settle where the config does not tie", async () => {
    const { config } = await settle({ [embedding]: table(1), [head]: table(2) }, tinyLlama);
    expect(config.fields).toEqual(tinyLlama);
  });
});

it("a checkpoint is read with the head that it stores beside a tied embedding", async () => {
  const files = syntheticFiles({ config: tinyLlama }).set("config.json", JSON.stringify(tied));
  const checkpoint = await openCheckpoint(memoryFolder(files));
  expect((await loadHead(checkpoint)).table).toEqual(await checkpoint.read("lm_head.weight", [61, 32]));
  expect((await loadEmbedding(checkpoint)).table).not.toEqual((await loadHead(checkpoint)).table);
  expect(checkpoint.notices).toHaveLength(1);
});
