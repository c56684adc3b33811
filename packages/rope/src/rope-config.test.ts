import { describe, expect, it } from "vitest";
import { ropeParameters } from "./rope-config.js";
import { RopeError } from "./rope-error.js";

const base = { hidden_size: 128, num_attention_heads: 4, max_position_embeddings: 4096, rope_theta: 10_000 };

describe("ropeParameters: where fields come from", () => {
  it("reads an unscaled config", () => {
    const expected = { headDim: 32, rotaryDim: 32, theta: 10_000, ropeType: "default", scaling: {} };
    expect(ropeParameters(base)).toEqual(expected);
  });

  it("reads the same from rope_parameters as from the fields of old", () => {
    const { rope_theta, ...rest } = base;
    const fields = { factor: 4, original_max_position_embeddings: 1024 };
    const old = { ...base, partial_rotary_factor: 0.5, rope_scaling: { type: "yarn", ...fields } };
    const current = {
      ...rest,
      rope_parameters: { rope_type: "yarn", rope_theta, partial_rotary_factor: 0.5, ...fields },
    };
    expect(ropeParameters(current)).toEqual(ropeParameters(old));
  });

  it("prefers an explicit head_dim", () => {
    expect(ropeParameters({ ...base, head_dim: 48 }).headDim).toBe(48);
  });

  it("treats null as absent", () => {
    expect(
      ropeParameters({ ...base, head_dim: null, rope_scaling: null, partial_rotary_factor: null }),
    ).toEqual(ropeParameters(base));
  });

  it("truncates a fractional rotary dimension as Python's int does", () => {
    expect(ropeParameters({ ...base, head_dim: 80, partial_rotary_factor: 0.4 }).rotaryDim).toBe(32);
    expect(ropeParameters({ ...base, head_dim: 33, partial_rotary_factor: 0.5 }).rotaryDim).toBe(16);
  });

  it("knows the names of GPT-NeoX, GPT-J and DeepSeek", () => {
    expect(
      ropeParameters({ hidden_size: 512, num_attention_heads: 8, rotary_pct: 0.25, rotary_emb_base: 5000 }),
    ).toEqual({
      ...ropeParameters({ head_dim: 64, rope_theta: 5000, partial_rotary_factor: 0.25 }),
    });
    expect(ropeParameters({ n_embd: 4096, n_head: 16, rotary_dim: 64 })).toMatchObject({
      headDim: 256,
      rotaryDim: 64,
    });
    expect(ropeParameters({ ...base, qk_rope_head_dim: 64 })).toMatchObject({ headDim: 64, rotaryDim: 64 });
  });

  it("takes the family's own theta where the config has none", () => {
    expect(ropeParameters({ head_dim: 8 }).theta).toBe(10_000);
    expect(ropeParameters({ head_dim: 8 }, { defaultTheta: 1e6 }).theta).toBe(1e6);
    expect(ropeParameters({ head_dim: 8, rope_theta: 5 }, { defaultTheta: 1e6 }).theta).toBe(5);
  });

  it("reads Phi-3's first name for longrope", () => {
    const factors = { short_factor: [1, 1], long_factor: [2, 2] };
    expect(ropeParameters({ ...base, head_dim: 4, rope_scaling: { type: "su", ...factors } }).ropeType).toBe(
      "longrope",
    );
  });

  it("survives JSON", () => {
    const parameters = ropeParameters({
      ...base,
      head_dim: 4,
      rope_scaling: { type: "longrope", short_factor: [1, 1], long_factor: [2, 2] },
    });
    expect(JSON.parse(JSON.stringify(parameters))).toEqual(parameters);
  });
});

describe("ropeParameters: one rope per layer type", () => {
  const nested = {
    head_dim: 8,
    rope_parameters: {
      full_attention: { rope_type: "linear", factor: 8, rope_theta: 1e6 },
      sliding_attention: { rope_type: "default", rope_theta: 10_000 },
    },
  };
  const gemma3 = {
    head_dim: 8,
    rope_theta: 1e6,
    rope_local_base_freq: 1e4,
    rope_scaling: { type: "linear", factor: 8 },
  };

  it.each([nested, gemma3])("picks the layer type", (config) => {
    expect(ropeParameters(config, { layerType: "full_attention" })).toMatchObject({
      ropeType: "linear",
      theta: 1e6,
    });
    expect(ropeParameters(config, { layerType: "sliding_attention" })).toMatchObject({
      ropeType: "default",
      theta: 1e4,
    });
  });

  it.each([nested, gemma3])("asks for a layer type rather than guess", (config) => {
    expect(() => ropeParameters(config)).toThrow(
      /layerType to be "full_attention" or "sliding_attention", found none/,
    );
    expect(() => ropeParameters(config, { layerType: "full" })).toThrow(/found full/);
  });

  it("gives every layer type the same where the config does", () => {
    expect(ropeParameters(base, { layerType: "full_attention" })).toEqual(ropeParameters(base));
  });
});

describe("ropeParameters: configs it refuses", () => {
  const llama3 = { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
  it.each([
    ["no head size", { rope_theta: 1 }, /head_dim, or hidden_size and num_attention_heads/],
    ["an odd head", { head_dim: 7 }, /even number of dims rotates, found 7/],
    ["a head of size 0", { head_dim: 0 }, /config\.head_dim to be a finite number above 0, found 0/],
    ["a fractional head", { head_dim: 7.5 }, /config\.head_dim to be a whole number above 0, found 7\.5/],
    [
      "too large a share",
      { head_dim: 8, partial_rotary_factor: 1.5 },
      /config\.partial_rotary_factor .* found 12/,
    ],
    [
      "too small a share",
      { head_dim: 8, partial_rotary_factor: 0.1 },
      /config\.partial_rotary_factor .* found 0/,
    ],
    ["a theta that is text", { head_dim: 8, rope_theta: "10000" }, /config\.rope_theta .* found "10000"/],
    ["a theta that is not finite", { head_dim: 8, rope_theta: Number.NaN }, /config\.rope_theta/],
    [
      "a list for an object",
      { head_dim: 8, rope_scaling: [] },
      /config\.rope_scaling to be an object, found \[\]/,
    ],
    [
      "a type that is a number",
      { head_dim: 8, rope_scaling: { type: 3 } },
      /rope_scaling\.type to be a string/,
    ],
    [
      "linear without factor",
      { ...base, rope_scaling: { type: "linear" } },
      /rope_scaling\.factor .* found nothing/,
    ],
    [
      "dynamic that shrinks",
      { ...base, rope_scaling: { type: "dynamic", factor: 0.5 } },
      /at least 1, found 0\.5/,
    ],
    [
      "dynamic without length",
      { head_dim: 8, rope_scaling: { type: "dynamic", factor: 2 } },
      /config\.max_position_embeddings .* found nothing/,
    ],
    [
      "yarn without length",
      { head_dim: 8, rope_scaling: { type: "yarn", factor: 2 } },
      /max_position_embeddings/,
    ],
    [
      "yarn with text for truncate",
      { ...base, rope_scaling: { type: "yarn", factor: 2, truncate: "no" } },
      /truncate to be true or false, found "no"/,
    ],
    [
      "llama3 with crossed bounds",
      { ...base, rope_scaling: { ...llama3, high_freq_factor: 1 } },
      /high_freq_factor to be above low_freq_factor \(1\), found 1/,
    ],
    [
      "longrope with too few factors",
      { ...base, rope_scaling: { type: "longrope", short_factor: [1], long_factor: [1] } },
      /short_factor to be of length 16 \(half the rotary dimension\), found 1$/,
    ],
    [
      "longrope with a factor that is no number",
      { ...base, rope_scaling: { type: "longrope", short_factor: [null], long_factor: [1] } },
      /short_factor to be a list of finite numbers above 0/,
    ],
    [
      "proportional above the whole head",
      { ...base, rope_parameters: { rope_type: "proportional", partial_rotary_factor: 2 } },
      /partial_rotary_factor to be at most 1, found 2/,
    ],
    ["an array", [], /config to be an object/],
  ])("refuses %s", (_, config, message) => {
    expect(() => ropeParameters(config)).toThrow(message);
    expect(() => ropeParameters(config)).toThrow(expect.objectContaining({ code: "malformed-config" }));
  });

  it.each([
    ["lists", "[".repeat(20_000) + "]".repeat(20_000), /found a list of 1$/],
    ["objects", `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`, /found an object$/],
    ["text", JSON.stringify("x".repeat(20_000)), /found "x{79}…$/],
  ])("says shortly what it found where that is %s without end", (_, json, message) => {
    const attempt = () => ropeParameters({ head_dim: 8, rope_theta: JSON.parse(json) as unknown });
    expect(attempt).toThrow(
      expect.objectContaining({ code: "malformed-config", message: expect.stringMatching(message) }),
    );
  });

  it("names an unknown type, where it stands and what is known", () => {
    const attempt = () => ropeParameters({ head_dim: 8, rope_parameters: { rope_type: "toString" } });
    expect(attempt).toThrow(RopeError);
    expect(attempt).toThrow(expect.objectContaining({ code: "unsupported-rope-type" }));
    expect(attempt).toThrow(
      'ropeParameters: expected config.rope_parameters.rope_type to be one of default, linear, dynamic, proportional, yarn, longrope, llama3, found "toString"',
    );
  });
});
