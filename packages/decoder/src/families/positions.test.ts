/** Windows, rotations and sizes: what families make of the fields that say where a token stands, and how far it sees. */

import { describe, expect, it } from "vitest";
import { tinyLlama } from "../../test/reference/synthetic-checkpoint.js";
import { readConfig } from "./read-config.js";

const read = (config: Readonly<Record<string, unknown>>) => readConfig(JSON.stringify(config));

describe("positions", () => {
  it("asks nothing of a window that is switched off", () => {
    const fields = { ...tinyLlama, model_type: "qwen2", sliding_window: 0, use_sliding_window: false };
    expect(read(fields).blocks[0]!.attention.window).toBeUndefined();
  });

  it("sees no windows where they would begin beyond the last layer", () => {
    const windows = { use_sliding_window: true, sliding_window: 8 };
    const model = (first: number) =>
      read({ ...tinyLlama, model_type: "qwen2", ...windows, max_window_layers: first });
    const seen = (first: number) => model(first).blocks.map(({ attention }) => attention.window);
    expect([seen(1), seen(2), seen(100)]).toEqual([
      [undefined, 8],
      [undefined, undefined],
      [undefined, undefined],
    ]);
  });

  it("takes no rotary field of another family", () => {
    const { blocks, notices } = read({
      ...tinyLlama,
      rope_theta: undefined,
      rotary_emb_base: 5,
      rotary_pct: 0.5,
    });
    expect(blocks[0]!.attention.rope).toMatchObject({ theta: 10_000, rotaryDim: 16 });
    expect(notices).toEqual([expect.stringMatching(/does not know rotary_emb_base, rotary_pct;/)]);
  });

  it("tells of what it does not know inside a scaling", () => {
    const { notices } = read({ ...tinyLlama, rope_scaling: { type: "linear", factor: 2, twist: 3 } });
    expect(notices).toEqual([expect.stringMatching(/does not know rope_scaling\.twist;/)]);
  });

  it("takes the length of Phi-3's first training from the top of its config, or 4096", () => {
    const factors = { short_factor: Array(8).fill(1), long_factor: Array(8).fill(2) };
    const length = (fields: object, scaling: object = {}) =>
      read({
        ...tinyLlama,
        model_type: "phi3",
        ...fields,
        rope_scaling: { type: "longrope", ...factors, ...scaling },
      }).blocks[0]!.attention.rope!.scaling;
    expect(length({ original_max_position_embeddings: 64 })).toMatchObject({ originalLength: 64 });
    expect(length({}, { original_max_position_embeddings: 64 })).toMatchObject({ originalLength: 4096 });
    expect(length({}, { type: "su" })).toEqual(length({}));
    // A name of the first releases, for the same thing.
    expect(length({}, { type: "yarn" })).toEqual(length({}));
  });

  it("stretches Hunyuan's base by alpha under dynamic scaling alone", () => {
    const theta = (scaling: object) =>
      read({ ...tinyLlama, model_type: "hunyuan_v1_dense", rope_scaling: scaling }).blocks[0]!.attention.rope!
        .theta;
    expect(theta({ type: "dynamic", factor: 1, alpha: 1000 })).toBeCloseTo(10_000 * 1000 ** (16 / 14), 3);
    expect(theta({ type: "linear", factor: 1, alpha: 1000 })).toBe(10_000);
  });

  it("reads Gemma 3's bases by kind of layer", () => {
    const thetas = (fields: object) =>
      read({
        ...tinyLlama,
        rope_theta: undefined,
        model_type: "gemma3_text",
        sliding_window_pattern: 2,
        ...fields,
      }).blocks.map(({ attention }) => attention.rope!.theta);
    expect(thetas({})).toEqual([10_000, 1_000_000]);
    expect(thetas({ rope_theta: 5e5, rope_local_base_freq: 5e3 })).toEqual([5e3, 5e5]);
    expect(thetas({ rope_parameters: { full_attention: { rope_type: "default", rope_theta: 7 } } })).toEqual([
      10_000, 7,
    ]);
  });
});

describe("a config is refused that has", () => {
  const llama = (fields: object) => JSON.stringify({ ...tinyLlama, ...fields });
  const mistral = (fields: object) => llama({ model_type: "mistral", ...fields });

  it.each<[name: string, text: string, message: RegExp]>([
    [
      "a window of no tokens",
      mistral({ sliding_window: 0 }),
      /sliding_window must be a positive integer, found 0/,
    ],
    [
      "a negative window",
      mistral({ sliding_window: -3.5 }),
      /sliding_window must be a positive integer, found -3\.5/,
    ],
    ["a window of half a token", mistral({ sliding_window: 7.5 }), /sliding_window must be .*, found 7\.5/],
    [
      "more layers than any model has",
      llama({ num_hidden_layers: 1e9 }),
      /number of layers must be at most 4096, found 1000000000/,
    ],
    [
      "more heads than any model has",
      llama({ num_attention_heads: 1e9, num_key_value_heads: 1 }),
      /number of query heads must be at most 65536/,
    ],
    ["heads of a million numbers", llama({ head_dim: 1e6 }), /numbers in a head must be at most 65536/],
    [
      "a context of 10^15 tokens",
      llama({ max_position_embeddings: 1e15 }),
      /the context length must be at most 134217728 tokens/,
    ],
    ["a size beyond the integers", llama({ hidden_size: 2 ** 60 }), /hidden_size must be a positive integer/],
    [
      "a part of each head that turns, where whole heads do",
      llama({ partial_rotary_factor: 0.5 }),
      /partial_rotary_factor must be 1 \(models of this type turn whole heads\), found 0\.5/,
    ],
    [
      "the same beside the scaling",
      llama({ rope_parameters: { rope_type: "linear", factor: 2, partial_rotary_factor: 0.25 } }),
      /partial_rotary_factor must be 1/,
    ],
    [
      "a share of more than a head",
      llama({ model_type: "phi", partial_rotary_factor: 1.5 }),
      /partial_rotary_factor/,
    ],
    [
      "a scaling that nobody knows",
      llama({ rope_scaling: { type: "spiral" } }),
      /rope_scaling\.rope_type .*"spiral"/,
    ],
    ["a scaling without its factor", llama({ rope_scaling: { type: "linear" } }), /rope_scaling\.factor/],
    [
      "too few kinds of layers",
      llama({ model_type: "qwen3", layer_types: ["full_attention"] }),
      /layer_types must be a list of 2 entries, one for each layer/,
    ],
    [
      "too many kinds of layers",
      llama({ model_type: "qwen3", layer_types: Array(3).fill("full_attention") }),
      /layer_types must be a list of 2 entries/,
    ],
    [
      "a kind of layer that no graph has",
      llama({ model_type: "qwen3", layer_types: ["full_attention", "chunked_attention"] }),
      /layer_types must be .*, found "chunked_attention"/,
    ],
    [
      "a pattern of windows that is no pattern",
      llama({ model_type: "exaone4", sliding_window_pattern: "LXG" }),
      /sliding_window_pattern must be/,
    ],
    [
      "one base for layers that turn differently",
      llama({ model_type: "gemma3_text", rope_parameters: { rope_type: "default", rope_theta: 1e4 } }),
      /rope_parameters must be an object with one entry for each kind of layer/,
    ],
    [
      "a switch of text",
      llama({ attention_bias: "yes" }),
      /attention_bias must be true or false, found "yes"/,
    ],
  ])("%s", (_, text, message) => {
    expect(() => readConfig(text)).toThrow(
      expect.objectContaining({ code: "malformed-checkpoint", message: expect.stringMatching(message) }),
    );
  });
});
