import { describe, expect, it } from "vitest";
import { familyNames, openFamily } from "../../test/support/families.js";
import { findArchitecture } from "./architecture.js";
import { plainDecoderObstacle } from "./plain-decoder.js";

const OTHER_NORMS = "layer 0 has other norms than one RMSNorm before each half";
const SIDE_BY_SIDE = "layer 0 computes attention and MLP side by side";

/** What llama.cpp runs of the tiny models, and why not the others. */
const verdicts: Readonly<Record<string, string>> = {
  bloom: OTHER_NORMS,
  cohere: SIDE_BY_SIDE,
  "cohere-qknorm": SIDE_BY_SIDE,
  ernie4_5: "llama",
  exaone4: OTHER_NORMS,
  falcon: SIDE_BY_SIDE,
  "falcon-mqa": SIDE_BY_SIDE,
  gemma2: OTHER_NORMS,
  gemma3_text: OTHER_NORMS,
  glm4: OTHER_NORMS,
  gpt2: OTHER_NORMS,
  gpt_bigcode: OTHER_NORMS,
  gpt_neox: SIDE_BY_SIDE,
  "gpt_neox-sequential": OTHER_NORMS,
  granite: "layer 0 multiplies its scores by 0.2",
  hunyuan_v1_dense:
    "layer 0 normalises queries and keys in another way than head by head before the rotation",
  llama: "llama",
  "llama-internlm": "layer 0 has dynamic scaling of RoPE",
  "llama-linear": "llama",
  "llama-yarn": "llama",
  mistral: "layer 0 sees a window of 8 tokens; with maxPositions 8 the file can hold the model",
  mpt: OTHER_NORMS,
  nemotron: OTHER_NORMS,
  olmo2: OTHER_NORMS,
  opt: OTHER_NORMS,
  "opt-350m-like": OTHER_NORMS,
  phi: SIDE_BY_SIDE,
  phi3: "layer 0 has longrope scaling of RoPE",
  "phi3-short": "layer 0 has longrope scaling of RoPE",
  qwen2: "layer 2 sees a window of 8 tokens; with maxPositions 8 the file can hold the model",
  qwen3: "qwen3",
  seed_oss: "qwen2",
  smollm3: "layer 3 has no RoPE",
  stablelm: OTHER_NORMS,
  "stablelm-qknorm": SIDE_BY_SIDE,
  starcoder2: OTHER_NORMS,
};

const llama = async (change: Readonly<Record<string, unknown>>) => {
  const { config } = await openFamily("llama", (fields) => ({ ...fields, ...change }));
  return config;
};

describe("plainDecoderObstacle", () => {
  it("says of every family whether llama.cpp has its decoder, or why not", async () => {
    const found: Record<string, string> = {};
    for (const name of familyNames) {
      const { config } = await openFamily(name);
      found[name] =
        plainDecoderObstacle(config, config.shape.maxPositions) ??
        findArchitecture(config, { newBiases: false })!.name;
    }
    expect(found).toEqual(verdicts);
  });

  it("lets windows be that no text reaches", async () => {
    const { config } = await openFamily("mistral");
    expect(plainDecoderObstacle(config, 9)).toMatch(/window of 8 tokens/);
    expect(plainDecoderObstacle(config, 8)).toBeUndefined();
  });

  it("refuses what a file states once and layers state differently", async () => {
    const config = await llama({});
    const [first, second] = config.blocks;
    const rope = { ...second!.attention.rope!, theta: 5000 };
    const turned = { ...second!, attention: { ...second!.attention, rope } };
    expect(plainDecoderObstacle({ ...config, blocks: [first!, turned] }, 64)).toBe(
      "layers that turn heads differently",
    );
    const head = { ...config.head, norm: { ...config.head.norm!, epsilon: 1e-3 } };
    expect(plainDecoderObstacle({ ...config, head }, 64)).toBe("norms with different epsilons");
  });

  it("refuses soft caps of logits, scaled embeddings, and Qwen3's norms beside biases", async () => {
    const config = await llama({});
    const capped = { ...config, head: { ...config.head, softCap: 30 } };
    expect(plainDecoderObstacle(capped, 64)).toBe("a soft cap of 30 on logits");
    const scaled = { ...config, embedding: { ...config.embedding, scale: 8 } };
    expect(plainDecoderObstacle(scaled, 64)).toBe("embeddings that are scaled, normalised or projected");
    const qwen3 = await openFamily("qwen3");
    const biased = qwen3.config.blocks.map((block) => ({
      ...block,
      attention: { ...block.attention, output: { ...block.attention.output, bias: true } },
    }));
    expect(plainDecoderObstacle({ ...qwen3.config, blocks: biased }, 64)).toMatch(
      /^norms of queries and keys/,
    );
  });
});

describe("findArchitecture", () => {
  it("takes the most special that has a place for all biases", async () => {
    const names = async (family: string) => {
      const { config } = await openFamily(family);
      return [false, true].map((newBiases) => findArchitecture(config, { newBiases })?.name);
    };
    expect(await names("llama")).toEqual(["llama", "llama"]);
    expect(await names("qwen2")).toEqual(["qwen2", "llama"]);
    expect(await names("qwen3")).toEqual(["qwen3", undefined]);
  });
});
