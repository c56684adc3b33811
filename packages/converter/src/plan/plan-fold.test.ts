import type { Dtype } from "@kvfold/decoder";
import { readConfig } from "@kvfold/decoder";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tinyBloom, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { planFold } from "./plan-fold.js";

const read = (config: Readonly<Record<string, unknown>>) => readConfig(JSON.stringify(config));
const llama = read({ ...tinyLlama, num_attention_heads: 16, num_key_value_heads: 8 });
const bloom = read(tinyBloom);

describe("planFold", () => {
  it("has quantised caches on request, in ONNX graphs alone", () => {
    const plan = (options: Partial<planFold.Options>) =>
      planFold(read(tinyLlama), { keep: "1/2", ...options });
    expect(plan({})).not.toHaveProperty("cacheBits");
    expect(plan({ cacheBits: [4, 8, 4] }).cacheBits).toEqual([8, 4]);
    expect(() => plan({ cacheBits: [3 as 8] })).toThrow(/^cacheBits: expected 8 or 4, found 3$/);
    expect(() => plan({ cacheBits: [8], method: "commuting", formats: ["hf"] })).toThrow(
      /^cacheBits: only ONNX graphs have quantised caches/,
    );
  });

  it("is plain data", () => {
    const plan = planFold(llama, { keep: "1/4", method: "svd-a", dtypes: ["fp16"], seed: 3 });
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
  });

  it("says what becomes of every layer and of the cache", () => {
    const plan = planFold(llama, { keep: "1/4", method: "svd-a", dtypes: ["fp16"], seed: 3 });
    expect(plan).toMatchObject({
      family: "Llama",
      method: "svd-a",
      keep: "1/4",
      layers: Array(2).fill({
        keys: { span: 4, heads: 2, rank: 16 },
        values: { span: 4, heads: 2, rank: 16 },
      }),
      heal: "none",
      attention: "group-query",
      taps: ["keys", "values"],
      dtypes: ["fp16"],
      maxPositions: 128,
      seed: 3,
      // 2 layers x 2 sides x 8 heads of 16 x 2 bytes, and a quarter of it.
      cacheBytesPerToken: { before: 1024, after: 256 },
    });
  });

  it("counts the cache of four-bit weights in float32", () => {
    const bytes = (dtype: Dtype) =>
      planFold(llama, { keep: "1/4", method: "svd-a", dtypes: [dtype] }).cacheBytesPerToken;
    expect(bytes("q4")).toEqual(bytes("fp32"));
  });

  it("starts a budget from uniform layers, for allocateBudget to settle", () => {
    const options = { keep: "1/4", method: "svd-a" } as const;
    const uniform = planFold(llama, options);
    expect(uniform).toMatchObject({ budget: "uniform", settled: true });
    const plan = planFold(llama, { ...options, budget: "knapsack" });
    expect(plan).toEqual({ ...uniform, budget: "knapsack", settled: false });
  });

  it("gives the paper's spans: a whole layer's keys where they are rotated, groups elsewhere", () => {
    expect(planFold(llama, { keep: "1/2", method: "paper" }).layers[0]).toEqual({
      keys: { span: 8, heads: 1, rank: 64 },
      values: { span: 2, heads: 4, rank: 16 },
    });
    expect(planFold(bloom, { keep: "1/2", method: "paper" }).layers[0]).toEqual({
      keys: { span: 2, heads: 3, rank: 8 },
      values: { span: 2, heads: 3, rank: 8 },
    });
  });

  it("takes spans over the method's own", () => {
    const plan = planFold(llama, { keep: "1/2", method: "svd-a", keySpan: 4, valueSpan: 8 });
    expect(plan.layers[0]).toEqual({
      keys: { span: 4, heads: 2, rank: 32 },
      values: { span: 8, heads: 1, rank: 64 },
    });
    expect(plan.attention).toBe("plain");
  });

  it("takes note of the chunks that keys of joint latents are turned in", () => {
    const chunkOf = (options: Partial<planFold.Options>, config = llama) =>
      planFold(config, { keep: "1/2", method: "anchored", ...options }).chunk;
    expect(chunkOf({})).toEqual({ least: 16, phase: 0.4 });
    expect(chunkOf({ keep: "1/8" })).toEqual({ least: 8, phase: 0.8 });
    expect(chunkOf({ chunk: 16 })).toBe(16);
    expect(planFold(llama, { keep: "1/2", method: "latent" })).not.toHaveProperty("chunk");
    expect(() => chunkOf({ chunk: 16 }, bloom)).toThrow(
      /^chunk 16: no layer of this model has keys that can be turned within chunks; leave it out$/,
    );
  });

  it("gives keys half of the cache, unless told otherwise", () => {
    const ranks = (options: Partial<planFold.Options>) => {
      const { keys, values } = planFold(llama, { keep: "1/2", method: "lorc", ...options }).layers[0]!;
      return [keys.rank, values.rank];
    };
    expect(ranks({})).toEqual([64, 64]);
    expect(ranks({ keyShare: "5/16" })).toEqual([40, 88]);
    expect(planFold(llama, { keep: "1/2", method: "latent", keyShare: "1/2" })).toEqual(
      planFold(llama, { keep: "1/2", method: "latent" }),
    );
    const latent = planFold(llama, { keep: "1/2", method: "latent", keyShare: "3/4" });
    expect(latent.layers[0]).toMatchObject({ keys: { rank: 96 }, values: { rank: 32 } });
    expect(latent.attention).toBe("plain");
    expect(latent.cacheBytesPerToken).toEqual(planFold(llama, { keep: "1/2" }).cacheBytesPerToken);
  });

  it.each([
    [
      { keyShare: "2" },
      "keyShare 2: expected a share of the cache above 0 and up to 1, such as 1/2, 1/4 or 0.5",
    ],
    [
      { keyShare: "1/3", method: "latent", budget: "knapsack" },
      "keyShare 1/3: budget knapsack finds the ranks itself; leave it out",
    ],
    [
      { keyShare: "1/3", method: "commuting" },
      "keyShare 1/3: method commuting keeps whole heads, as many for keys as for values; leave it out",
    ],
  ])("refuses a share of keys that has no use: %j", (options, message) => {
    expect(() => planFold(llama, { keep: "1/2", ...options })).toThrow(
      expect.objectContaining({ code: "invalid-option", option: "keyShare", message }),
    );
  });

  it("heals as the method says, unless told otherwise", () => {
    const heal = (options: Partial<planFold.Options>) => planFold(llama, { keep: "1/2", ...options }).heal;
    expect(heal({ method: "latent" })).toBe("both");
    expect(heal({ method: "latent", heal: "none" })).toBe("none");
    expect(heal({ method: "svd-a" })).toBe("none");
    expect(heal({ method: "svd-a", heal: "attention" })).toBe("attention");
  });

  it("gives latent the widest span up to four times the shrink that divides the heads", () => {
    const span = (heads: number, keep: string) =>
      planFold(read({ ...tinyLlama, num_attention_heads: heads, num_key_value_heads: heads }), {
        keep,
        method: "latent",
      }).layers[0]!.keys.span;
    expect([span(32, "1/2"), span(8, "1/4"), span(2, "1/2"), span(12, "1/2")]).toEqual([8, 8, 2, 6]);
  });

  it("keeps everything by method none where nothing else is said", () => {
    expect(planFold(llama, { keep: "1" }).method).toBe("none");
  });

  it("needs calibration only for methods that look at activations", () => {
    const taps = (method: string) => planFold(llama, { keep: "1/2", method }).taps;
    expect([taps("mean"), taps("svd-w"), taps("random")]).toEqual([[], [], []]);
    expect(taps("paper")).toEqual(["keys", "values"]);
  });

  it("keeps the same share of the cache whatever the spans", () => {
    const spans = fc.constantFrom(2, 4, 8);
    fc.assert(
      fc.property(spans, spans, fc.constantFrom("1/2", "1/4", "3/4"), (keySpan, valueSpan, keep) => {
        const plan = planFold(llama, { keep, method: "svd-a", keySpan, valueSpan });
        const { before, after } = plan.cacheBytesPerToken;
        const [top, bottom] = keep.split("/").map(Number);
        expect(after * bottom!).toBe(before * top!);
      }),
    );
  });
});

describe("positions", () => {
  const plan = (options: object) => planFold(llama, { keep: "1/2", method: "latent", ...options });

  it("are the model's context where calibration windows are shorter", () => {
    const { maxPositions } = llama.shape;
    expect(plan({ window: maxPositions / 2 })).toMatchObject({
      context: maxPositions,
      taps: ["queries", "keysBeforeRope", "values", "queriesAtKeys", "attentionWeights"],
    });
    expect(plan({ window: maxPositions }).context).toBeUndefined();
    expect(plan({}).context).toBeUndefined();
    expect(plan({ context: 7, window: maxPositions }).context).toBe(7);
  });

  it("do not concern methods that fold keys before the rotation", () => {
    expect(plan({ method: "lorc", window: 1 }).context).toBeUndefined();
    expect(plan({ method: "anchored", window: 1 }).context).toBeUndefined();
  });
});

describe("planFold refuses", () => {
  const refused: readonly [name: string, options: planFold.Options, message: RegExp][] = [
    [
      "an unknown method",
      { keep: "1/2", method: "pca" },
      /method "pca" is unknown; choose one of none, random/,
    ],
    [
      "method none with less than everything",
      { keep: "1/2", method: "none" },
      /^method none keeps everything, but keep is 1\/2; choose another method, or keep 1/,
    ],
    [
      "a span that does not divide",
      { keep: "1/2", method: "svd-a", keySpan: 2, valueSpan: 3 },
      /^valueSpan 3: .*divides the model's 8 KV heads; choose one of 1, 2, 4, 8/,
    ],
    ["a fraction of a head", { keep: "1/2", method: "svd-a", keySpan: 1.5 }, /^keySpan 1\.5/],
    ["a span of nothing", { keep: "1/2", method: "svd-a", keySpan: 0 }, /^keySpan 0/],
    [
      "whole heads of a share that is none",
      { keep: "1/3", method: "commuting" },
      /^keep 1\/3: method commuting keeps whole heads and cannot keep this share of 8 KV heads; the nearest it can: 1\/4 and 3\/8$/,
    ],
    [
      "averages of different numbers of heads",
      { keep: "3/4", method: "mean" },
      /^keep 3\/4: method mean .* of 8 KV heads; the nearest it can: 1\/2 and 1$/,
    ],
    [
      "half a head",
      { keep: "1/2", method: "commuting", keySpan: 1, valueSpan: 1 },
      /^keep 1\/2: .* of 8 KV heads in these spans; the nearest it can: 1, or leave keySpan and valueSpan out$/,
    ],
    [
      "wide heads in a checkpoint",
      { keep: "3/8", method: "commuting", formats: ["hf"] },
      /^keep 3\/8: a Hugging Face checkpoint \(format hf\) has heads of the size they had and cannot .*: 1\/4 and 1\/2$/,
    ],
    [
      "an unknown budget",
      { keep: "1/2", budget: "greedy" },
      /budget "greedy" is unknown; choose one of uniform, power, knapsack, lorc-progressive, eigen-threshold/,
    ],
    [
      "a checkpoint of joint latents",
      { keep: "1/2", method: "anchored", formats: ["hf"] },
      /^formats hf: method anchored keeps keys and values in one latent, which plain GQA code does not have/,
    ],
    [
      "joint latents of keys and values of other heads",
      { keep: "1/2", method: "anchored", valueSpan: 2 },
      /^valueSpan 2: method anchored keeps keys and values of the same heads in one latent, but their spans are 8 and 2;/,
    ],
    [
      "a share for the keys of a joint latent",
      { keep: "1/2", method: "anchored", keyShare: "1/3" },
      /^keyShare 1\/3: method anchored keeps keys and values in one latent; leave it out$/,
    ],
    [
      "odd chunks",
      { keep: "1/2", method: "anchored", chunk: 12 },
      /^chunk 12: expected slots of a power of two/,
    ],
    [
      "chunks without a phase",
      { keep: "1/2", method: "anchored", chunk: { least: 8, phase: 0 } },
      /^chunk 8,0: expected a phase above 0, in radians$/,
    ],
    [
      "chunks for keys that are turned as a whole",
      { keep: "1/2", method: "latent", chunk: 8 },
      /^chunk 8: method latent turns no keys within chunks; leave it out$/,
    ],
    [
      "different layers in a checkpoint",
      { keep: "1/2", method: "svd-a", budget: "knapsack", formats: ["onnx", "hf"] },
      /^budget knapsack: a Hugging Face checkpoint \(format hf\) states one number of KV heads for all layers; use budget uniform/,
    ],
    [
      "different layers of whole heads",
      { keep: "1/2", method: "commuting", budget: "eigen-threshold" },
      /^budget eigen-threshold: method commuting keeps whole heads, the same number in every layer; use budget uniform/,
    ],
    [
      "a checkpoint in four bits",
      { keep: "1/2", method: "mean", formats: ["onnx", "hf"], dtypes: ["q4"] },
      /^formats hf: it has fp32, fp16, but dtypes is q4; add one of the former/,
    ],
    [
      "different layers in a GGUF file",
      { keep: "1/2", method: "svd-a", budget: "knapsack", formats: ["gguf"] },
      /^budget knapsack: a GGUF file \(format gguf\) states one number of KV heads for all layers; use budget uniform/,
    ],
    [
      "products after the rotation in a GGUF file",
      { keep: "1/2", method: "latent", formats: ["gguf"] },
      /^formats gguf: method latent leaves products after .* \(methods without them: none, mean, commuting\); format onnx can hold it/,
    ],
    [
      "wide heads in a GGUF file",
      { keep: "3/8", method: "commuting", formats: ["gguf"] },
      /^keep 3\/8: a GGUF file \(format gguf\) has heads of the size they had and cannot .*: 1\/4 and 1\/2$/,
    ],
    [
      "four bits in a GGUF file",
      { keep: "1", formats: ["onnx", "gguf"], dtypes: ["q4"] },
      /^formats gguf: it has fp32, fp16, q8, but dtypes is q4; add one of the former/,
    ],
    [
      "eight bits in a graph",
      { keep: "1", dtypes: ["q8"] },
      /^formats onnx: it has fp32, fp16, q4, but dtypes is q8; add one of the former/,
    ],
    ["a share above everything", { keep: "2" }, /^keep 2/],
  ];
  it.each(refused)("%s", (_, options, message) => {
    expect(() => planFold(llama, options)).toThrow(
      expect.objectContaining({ code: "invalid-option", message: expect.stringMatching(message) }),
    );
  });
});

describe("format gguf", () => {
  const gguf = { keep: "1", formats: ["gguf"] } as const;

  it("takes a model with a window whose context ends there", () => {
    const mistral = read({ ...tinyLlama, model_type: "mistral", sliding_window: 32 });
    expect(() => planFold(mistral, gguf)).toThrow(
      "formats gguf: llama.cpp has no plain decoder for this model (layer 0 sees a window of 32 tokens; with maxPositions 32 the file can hold the model); format onnx can hold it",
    );
    expect(planFold(mistral, { ...gguf, maxPositions: 32 })).toMatchObject({
      formats: ["gguf"],
      bias: "free",
    });
  });

  it("has a place for new biases, unless queries and keys are normalised", () => {
    expect(planFold(read(tinyLlama), gguf).bias).toBe("free");
    expect(planFold(read({ ...tinyLlama, model_type: "qwen3" }), gguf).bias).toBe("none");
  });

  it("counts the cache of eight-bit files in float16, as llama.cpp keeps it", () => {
    const { cacheBytesPerToken } = planFold(read(tinyLlama), { ...gguf, dtypes: ["q8", "fp32"] });
    // Two layers, keys and values, 4 heads of 16.
    expect(cacheBytesPerToken).toEqual({ before: 512, after: 512 });
  });
});
