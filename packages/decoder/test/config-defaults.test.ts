import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { families, readConfig } from "../src/index.js";

type Fields = Readonly<Record<string, unknown>>;

const defaults: Readonly<Record<string, Fields>> = JSON.parse(
  readFileSync(new URL("../testdata/config-defaults.json", import.meta.url), "utf8"),
);

/** Sizes of a model under all names that families have for them; any default of KV heads divides 320 heads. */
const sizes = {
  vocab_size: 96,
  hidden_size: 5120,
  n_embd: 5120,
  d_model: 5120,
  intermediate_size: 96,
  ffn_dim: 96,
  num_attention_heads: 320,
  n_head: 320,
  n_heads: 320,
  num_hidden_layers: 6,
  n_layer: 6,
  n_layers: 6,
};

/** Fields without which a default would not show. */
const context: Readonly<Record<string, Fields>> = {
  qwen2: { use_sliding_window: true, num_hidden_layers: 30 },
  qwen3: { use_sliding_window: true, num_hidden_layers: 30 },
  // The first scaling looks at the original length: here is one that the default of 4096 is about.
  phi3: {
    max_position_embeddings: 8192,
    rope_scaling: { type: "longrope", long_factor: Array(8).fill(2), short_factor: Array(8).fill(1) },
  },
};

function describeModel(fields: Fields) {
  const { fields: _, notices: __, ...model } = readConfig(JSON.stringify(fields));
  return model;
}

describe("a field that a config leaves out means what transformers makes of it", () => {
  const cases = Object.entries(defaults).flatMap(([type, fields]) =>
    Object.entries(fields).map(([field, value]) => [type, field, value] as const),
  );
  it.each(cases)("%s: %s is %j", (type, field, value) => {
    const { [field]: _, ...base }: Fields = { ...sizes, ...context[type], model_type: type };
    expect(describeModel(base)).toEqual(describeModel({ ...base, [field]: value }));
  });

  it("is checked for every family of transformers", () => {
    const listed = families.map(({ modelType }) => modelType).filter((type) => type !== "internlm2");
    expect(Object.keys(defaults).toSorted()).toEqual(listed.toSorted());
  });
});

describe("a field that is null", () => {
  const model = (fields: Fields) => describeModel({ ...sizes, model_type: "llama", ...fields });

  it("is no, where it is a switch", () => {
    const { attention } = model({ model_type: "seed_oss", attention_bias: null }).blocks[0]!;
    expect(attention.projections).toMatchObject({ query: { bias: false } });
    expect(model({ model_type: "gemma2", tie_word_embeddings: null }).head.tied).toBe(false);
    expect(model({ model_type: "falcon", multi_query: null }).shape.kvHeads).toBe(320);
  });

  it("is off, where it is a window or a cap", () => {
    expect(
      model({ model_type: "mistral", sliding_window: null }).blocks[0]!.attention.window,
    ).toBeUndefined();
    expect(
      model({ model_type: "gemma2", attn_logit_softcapping: null }).blocks[0]!.attention.softCap,
    ).toBeUndefined();
  });

  it("is as many KV heads as query heads, whatever the family's default", () => {
    expect(model({ model_type: "mistral", num_key_value_heads: null }).shape.kvHeads).toBe(320);
    expect(model({ model_type: "ernie4_5", head_dim: null }).shape.headDim).toBe(16);
  });

  it("is no quantisation, and no reason for a notice", () => {
    const { notices } = readConfig(
      JSON.stringify({
        ...sizes,
        model_type: "llama",
        quantization_config: null,
        mystery: null,
        n_embd: null,
        d_model: null,
        ffn_dim: null,
        n_head: null,
        n_heads: null,
        n_layer: null,
        n_layers: null,
      }),
    );
    expect(notices).toEqual([]);
  });
});
