import { expect, it } from "vitest";
import { calculateFit } from "./calculate-fit.js";

const config = JSON.stringify({
  model_type: "llama",
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 4,
  vocab_size: 100,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
});

it("says what fits, and what a context takes, for each share", () => {
  const { rows, weightBytes, maxPositions, family } = calculateFit(config, {
    limit: { context: 1000 },
    dtype: "fp16",
  });
  expect({ maxPositions, family }).toEqual({ maxPositions: 512, family: "Llama" });
  expect(rows.map(({ keep }) => keep)).toEqual(["1", "1/2", "1/4", "1/8"]);
  // Keys and values of 64 numbers, in two layers, two bytes each.
  expect(rows[0]!.whole).toMatchObject({ cacheType: "float16", cacheBytesPerToken: 512 });
  expect(rows[0]!.whole.bytes).toBe(weightBytes + 512_000);
  expect(rows[1]!.whole.cacheBytesPerToken).toBe(256);
  expect(rows[0]!.int8).toMatchObject({ cacheType: "int8" });
  const memory = weightBytes + 512_000;
  const again = calculateFit(config, { limit: { memory }, dtype: "fp16" });
  expect(again.rows.map(({ whole }) => whole.tokens).slice(0, 2)).toEqual([1000, 2000]);
});

it("names what is not a decoder", () => {
  const question = { limit: { memory: 2 ** 30 }, dtype: "fp32" } as const;
  expect(() => calculateFit('{"model_type": "bert"}', question)).toThrow("bert");
});
