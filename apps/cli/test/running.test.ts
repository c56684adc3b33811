import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  env,
  type PreTrainedTokenizer,
} from "@huggingface/transformers";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { benchModels } from "../src/jobs/bench.js";
import { evaluateModels } from "../src/jobs/evaluate.js";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { generateText } from "../src/jobs/generate.js";
import { quietContext } from "../src/jobs/job.js";
import { probeCopying } from "../src/jobs/probe-copying.js";
import { tokenFile } from "../src/tokens/read-tokens.js";
import {
  ALIBI_MODEL,
  abortingContext,
  failureOf,
  makeFolder,
  ROPE_MODEL,
  removeFolder,
  VALIDATION_TEXT,
  VALIDATION_TOKENS,
} from "./support.js";

const files = [tokenFile(VALIDATION_TOKENS)];
let folder: string;
let folded: string;
/** Where jobs put their temporary folders. */
let temporary: string;

beforeAll(async () => {
  folder = await makeFolder();
  folded = join(folder, "half");
  temporary = join(folder, "temporary");
  await mkdir(temporary);
  vi.stubEnv("TMPDIR", temporary);
  const options = { model: ROPE_MODEL, output: folded, keep: "1/2", method: "svd-w" } as const;
  await foldCheckpoint({ ...options, dtypes: ["fp32", "fp16", "q4"] }, quietContext);
  return () => {
    vi.unstubAllEnvs();
    return removeFolder(folder);
  };
});

describe("evaluateModels", () => {
  it("compares a folded model to its checkpoint, which it exports and removes again", async () => {
    const { models } = await evaluateModels(
      { models: [ROPE_MODEL, folded], files, windows: 2 },
      quietContext,
    );
    const [original, half] = models;
    expect(original).toMatchObject({ path: ROPE_MODEL, ratio: 1, tokens: 2048, cacheBytesPerToken: 12_288 });
    expect(half).toMatchObject({ path: folded, tokens: 2048, cacheBytesPerToken: 6144 });
    // Perplexity of the reference runs over 64 windows is 27.478; two windows lie within a few per cent.
    expect(original!.perplexity).toBeGreaterThan(24);
    expect(original!.perplexity).toBeLessThan(31);
    expect(original!.perplexity).toBeCloseTo(Math.exp(original!.nll), 9);
    expect(half!.ratio).toBeCloseTo(half!.perplexity / original!.perplexity, 12);
    expect(half!.ratio).toBeGreaterThan(1);
    expect(await readdir(temporary)).toEqual([]);
  });

  it("runs the graph that is asked for: file, float16, ALiBi", async () => {
    const graph = join(folded, "onnx", "model.onnx");
    const options = { files, windows: 1, window: 64 };
    const [fromFile] = (await evaluateModels({ models: [graph], ...options }, quietContext)).models;
    const [half] = (await evaluateModels({ models: [folded], dtype: "fp16", ...options }, quietContext))
      .models;
    expect(half!.cacheBytesPerToken).toBe(3072);
    // Float16 keeps three digits.
    expect(Math.abs(half!.nll - fromFile!.nll)).toBeLessThan(2e-3);
    const [alibi] = (await evaluateModels({ models: [ALIBI_MODEL], ...options }, quietContext)).models;
    expect(alibi!.perplexity).toBeLessThan(100);
  });

  it("predicts plain text", async () => {
    const text = [tokenFile(VALIDATION_TEXT)];
    const { models } = await evaluateModels(
      { models: [folded], files: text, windows: 1, window: 100 },
      quietContext,
    );
    expect(models[0]!.tokens).toBe(100);
  });

  it("fails on too short a text and on what is no model", async () => {
    const error = await failureOf(evaluateModels({ models: [folded], files, windows: 10_000 }, quietContext));
    expect(error.code).toBe("too-few-tokens");
    const nowhere = join(folder, "nowhere");
    const missing = await failureOf(evaluateModels({ models: [nowhere], files }, quietContext));
    expect(missing).toMatchObject({ code: "unreadable-file" });
    expect(missing.message).toContain(nowhere);
    const empty = await failureOf(evaluateModels({ models: [temporary], files }, quietContext));
    expect(empty.message).toContain("onnx/model.onnx");
  });

  it("removes its export when it is aborted", async () => {
    const work = evaluateModels({ models: [ROPE_MODEL], files, windows: 2 }, abortingContext(2));
    expect((await failureOf(work)).code).toBe("aborted");
    expect(await readdir(temporary)).toEqual([]);
  });
});

describe("generateText", () => {
  const prompt = "The old man looked at the sea";

  it("continues greedily just as transformers.js does", async () => {
    const chunks: string[] = [];
    const context = { ...quietContext, onText: (text: string) => void chunks.push(text) };
    const result = await generateText({ model: folded, prompt, maxNewTokens: 24 }, context);
    expect(result.text).toBe(await continueWithTransformers(folded, prompt, 24));
    expect(chunks.join("")).toBe(result.text);
    expect(chunks.length).toBeGreaterThan(5);
    expect(result).toMatchObject({ tokens: 24, stoppedBy: "max-new-tokens" });
  });

  it("draws the same text from the same seed", async () => {
    const options = { model: folded, prompt, maxNewTokens: 12, temperature: 1, topK: 50, topP: 0.95 };
    const [first, same, other] = [
      await generateText({ ...options, seed: 1 }, quietContext),
      await generateText({ ...options, seed: 1 }, quietContext),
      await generateText({ ...options, seed: 2 }, quietContext),
    ];
    expect(same.text).toBe(first.text);
    expect(other.text).not.toBe(first.text);
  });

  it("stops before a stop text", async () => {
    const { text } = await generateText({ model: folded, prompt, maxNewTokens: 24 }, quietContext);
    const stop = text.slice(10, 14);
    const stopped = await generateText(
      { model: folded, prompt, maxNewTokens: 24, stop: [stop] },
      quietContext,
    );
    expect(stopped.stoppedBy).toBe("stop-text");
    expect(stopped.text).toBe(text.slice(0, text.indexOf(stop)));
  });
});

describe("benchModels", () => {
  it("measures models in turn and skips contexts that are too long", async () => {
    const options = { models: [folded, folded], contexts: [16, 2048], tokens: 4, repeats: 2 };
    const { measurements, skipped, models } = await benchModels(options, quietContext);
    expect(models.map(({ cacheBytesPerToken }) => cacheBytesPerToken)).toEqual([6144, 6144]);
    expect(measurements).toHaveLength(2);
    expect(measurements[0]).toMatchObject({ context: 16, promptTokens: 12, decodedTokens: 4 });
    expect(measurements[0]!.prefill.ratio).toBe(1);
    expect(measurements[1]!.decode.seconds).toHaveLength(2);
    expect(measurements[1]!.decode.tokensPerSecond).toBeGreaterThan(0);
    expect(skipped).toEqual(Array(2).fill({ path: folded, context: 2048, maxPositions: 1024 }));
  });

  it("fails when nothing can be measured", async () => {
    const short = await failureOf(benchModels({ models: [folded], contexts: [32] }, quietContext));
    expect(short.code).toBe("usage");
    const long = await failureOf(benchModels({ models: [folded], contexts: [4096] }, quietContext));
    expect(long.code).toBe("insufficient-text");
  });
});

/** A greedy continuation by another program, on the same tokens: the document's first token and the prompt's. */
async function continueWithTransformers(model: string, prompt: string, count: number): Promise<string> {
  env.allowRemoteModels = false;
  const tokenizer: PreTrainedTokenizer = await AutoTokenizer.from_pretrained(model);
  const lm = await AutoModelForCausalLM.from_pretrained(model, { dtype: "fp32" });
  const inputs = tokenizer(`<|endoftext|>${prompt}`) as {
    readonly input_ids: { readonly dims: readonly number[] };
  };
  const output = await lm.generate({ ...inputs, max_new_tokens: count, do_sample: false });
  const ids = (output as { tolist(): bigint[][] }).tolist()[0]!.slice(inputs.input_ids.dims[1]!);
  await lm.dispose();
  return tokenizer.decode(ids, { skip_special_tokens: true });
}

describe("probeCopying", () => {
  it("measures passages at each distance, on the same sequences for all models", async () => {
    const options = { models: [ROPE_MODEL, folded, folded], files, distances: [32, 48], sequences: 2 };
    const { repeat, models } = await probeCopying(options, quietContext);
    expect(repeat).toBe("passages");
    const [original, half] = models;
    expect(half!.distances.map(({ distance, tokens }) => [distance, tokens])).toEqual([
      [32, 62],
      [48, 62],
    ]);
    expect(models[2]).toEqual(half);
    expect(half!.cacheBytesPerToken).toBe(6144);
    expect(original!.distances[0]!.ratio).toBe(1);
    expect(half!.distances[1]!.ratio).toBe(half!.distances[1]!.gain / original!.distances[1]!.gain);
    // The original copies prose: 0.8 nats a token at distance 32 over many sequences.
    expect(original!.distances[0]!.gain).toBeGreaterThan(0.2);
  });

  it("draws random tokens from a text, or from the vocabulary", async () => {
    const options = { models: [folded], distances: [8], length: 8, sequences: 4 };
    const drawn = await probeCopying(options, quietContext);
    const ofText = await probeCopying({ ...options, files, repeat: "tokens" }, quietContext);
    expect([drawn.repeat, ofText.repeat]).toEqual(["tokens", "tokens"]);
    // Tokens of prose are better foreseen than tokens of the vocabulary: 10 nats against 13 in the original.
    expect(drawn.models[0]!.distances[0]!.control.nll).toBeGreaterThan(
      ofText.models[0]!.distances[0]!.control.nll + 1,
    );
  });

  it("asks for text to take passages from", async () => {
    const { code, message } = await failureOf(
      probeCopying({ models: [folded], repeat: "passages" }, quietContext),
    );
    expect(code).toBe("usage");
    expect(message).toContain("--text");
  });
});
