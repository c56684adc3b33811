/** Shifts, divergences and key tokens of models that run. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { evaluateModels } from "../src/jobs/evaluate.js";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { quietContext } from "../src/jobs/job.js";
import { probeRetrieval } from "../src/jobs/probe-retrieval.js";
import { tokenFile } from "../src/tokens/read-tokens.js";
import {
  ALIBI_MODEL,
  CALIBRATION_TOKENS,
  failureOf,
  makeFolder,
  ROPE_MODEL,
  removeFolder,
  VALIDATION_TOKENS,
} from "./support.js";
import { writeTinyModel } from "./tiny-model.js";

const files = [tokenFile(VALIDATION_TOKENS)];
const tinyFamily = (name: string): string =>
  fileURLToPath(new URL(`../../../packages/decoder/testdata/families/${name}`, import.meta.url));

/** Positions of the model whose folds are moved. */
const CONTEXT = 1024;

let folder: string;
/** The original, exported once. */
let whole: string;
/** Its bases fit positions 0 to 63. */
let latent: string;
/** It caches keys before the rotation. */
let unrotated: string;
/** Of the default method: it turns keys within chunks alone. */
let anchored: string;
/** Token ids below 96, which the tiny models have. */
let tinyFiles: readonly ReturnType<typeof tokenFile>[];

beforeAll(async () => {
  folder = await makeFolder();
  const at = (name: string): string => join(folder, name);
  [whole, latent, unrotated, anchored] = [at("whole"), at("latent"), at("unrotated"), at("anchored")];
  const calibration = { files: [tokenFile(CALIBRATION_TOKENS)], windows: 8, window: 64 };
  const common = { model: ROPE_MODEL, keep: "1/4", heal: "none" } as const;
  const far = { ...common, maxPositions: 9 * CONTEXT, calibration } as const;
  // As if the model had no longer context: bases for the first positions alone.
  await foldCheckpoint({ ...far, output: latent, method: "latent", context: 64 }, quietContext);
  const enough = { ...calibration, window: 256 };
  await foldCheckpoint({ ...far, output: anchored, calibration: enough }, quietContext);
  await foldCheckpoint({ ...common, output: unrotated, method: "lorc", maxPositions: 1088 }, quietContext);
  await foldCheckpoint({ model: ROPE_MODEL, output: whole, keep: "1" }, quietContext);
  const tokens = join(folder, "tiny.u16");
  await writeFile(
    tokens,
    Uint16Array.from({ length: 200 }, (_, index) => (index * index * 7 + index * 17) % 96),
  );
  tinyFiles = [tokenFile(tokens)];
  return () => removeFolder(folder);
});

const listening = () => {
  const notices: string[] = [];
  return { notices, context: { ...quietContext, onNotice: (text: string) => void notices.push(text) } };
};

/** By how much a shift changes the ratio to the original at the same shift, at most. */
const largestMove = ({ ratio, shifts }: evaluateModels.Evaluation): number =>
  Math.max(...shifts!.map((moved) => Math.abs(moved.ratio / ratio - 1)));

async function readValidation(count: number): Promise<readonly number[]> {
  const { buffer, byteOffset } = await readFile(VALIDATION_TOKENS);
  return [...new Uint16Array(buffer, byteOffset, count)];
}

describe("eval at a shift", () => {
  const shifts = [CONTEXT, 8 * CONTEXT];
  let original: evaluateModels.Evaluation;
  let byDefault: evaluateModels.Evaluation;
  let early: evaluateModels.Evaluation;
  const { notices, context } = listening();
  beforeAll(async () => {
    const models = [ROPE_MODEL, anchored, latent];
    const result = await evaluateModels({ models, files, windows: 4, window: 64, shifts }, context);
    [original, byDefault, early] = result.models as [typeof original, typeof byDefault, typeof early];
  });

  it("leaves the original", () => {
    expect(original.shifts!.map(({ shift }) => shift)).toEqual([0, ...shifts]);
    // Rotations by angles that are rounded to float32 move logits by about 1e-5.
    for (const { change } of original.shifts!) expect(Math.abs(change - 1)).toBeLessThan(1e-4);
  });

  it("shows that a fold after RoPE fits the positions it was calibrated on", () => {
    expect(early.shifts![0]).toMatchObject({ shift: 0, change: 1, ratio: early.ratio });
    for (const moved of early.shifts!.slice(1)) expect(moved.kl! / early.kl!).toBeGreaterThan(1.01);
  });

  it("leaves the ratio of the default fold within 0.1 % up to 8 contexts on, which that fold does not keep", () => {
    expect(largestMove(byDefault)).toBeLessThan(1e-3);
    expect(largestMove(early)).toBeGreaterThan(1e-3);
    expect(notices).toEqual([expect.stringMatching(/anchored is the same at every shift to the last bit/)]);
  });

  it("finds what the default fold loses, not healed: another figure is a change of what kvfold computes", () => {
    // Moments that differ by 1e-6, as other processors may give, move it by 1e-7; heads that are not tempered by 4e-3.
    expect(Math.abs(byDefault.ratio / 1.04096 - 1)).toBeLessThan(5e-4);
    expect(Math.abs(byDefault.kl! / 0.098672 - 1)).toBeLessThan(5e-3);
  });

  it("stays within the positions of a graph", async () => {
    const options = { models: [unrotated], files, windows: 1 };
    const { code, message } = await failureOf(evaluateModels({ ...options, shifts: [100] }, quietContext));
    expect(code).toBe("usage");
    expect(message).toMatch(
      /^--shift 100: a window of 1024 tokens would end at position 1124, but .*unrotated has 1088 positions; fold it with --max-positions 1124, or ask for --window 988 or less, or ask for --shift 64 or less$/,
    );
    const far = await failureOf(evaluateModels({ ...options, shifts: [2000] }, quietContext));
    expect(far.message).toMatch(/--max-positions 3024, or ask for --shift 64 or less$/);
    const endless = { ...options, models: [ROPE_MODEL], shifts: [2 ** 50] };
    expect((await failureOf(evaluateModels(endless, quietContext))).message).toMatch(/has 1048576 positions/);
    await evaluateModels({ ...options, window: 16, shifts: [1088 - 16] }, quietContext);
  });

  it("leaves a fold of keys before RoPE", async () => {
    const options = { files, windows: 1, window: 64, shifts: [100, 1000] };
    const { models } = await evaluateModels({ ...options, models: [latent, unrotated] }, quietContext);
    // Its keys are turned where they are read, by tables that float32 rounds.
    for (const { change } of models[1]!.shifts!) expect(change).toBeCloseTo(1, 5);
  });

  it("says of a standard graph that counts positions itself that no shift reaches it", async () => {
    const { notices, context } = listening();
    const options = { files, windows: 1, window: 64, shifts: [100, 1000] };
    const graphs = [latent, join(unrotated, "onnx", "model.onnx")];
    const { models } = await evaluateModels({ ...options, models: graphs }, context);
    expect(models[1]!.shifts!.map(({ change }) => change)).toEqual([1, 1, 1]);
    expect(notices).toContainEqual(
      expect.stringMatching(/model\.onnx is the same at every shift .* does not read position_ids/),
    );
    expect(notices).not.toContainEqual(expect.stringMatching(/latent is the same/));
  });

  it("leaves ALiBi, whose biases differ by the same for all keys", async () => {
    const options = { models: [ALIBI_MODEL], files, windows: 1, window: 64, shifts: [512] };
    const { models } = await evaluateModels(options, quietContext);
    for (const { change } of models[0]!.shifts!) expect(change).toBeCloseTo(1, 4);
  });

  it("refuses learned positions", async () => {
    const models = [tinyFamily("gpt2")];
    const options = { models, files: tinyFiles, windows: 1, window: 16, shifts: [4096] };
    const { code, message } = await failureOf(evaluateModels(options, quietContext));
    expect(code).toBe("unsupported-model");
    expect(message).toContain("its positions are learned");
  });

  it("says where the original itself changes: LongRoPE chooses by the length of the text, the shift included", async () => {
    const { notices, context } = listening();
    const options = { files: tinyFiles, windows: 1, window: 8 };
    // The original length is 16.
    await evaluateModels({ ...options, models: [tinyFamily("phi3")], shifts: [8] }, context);
    expect(notices).toEqual([]);
    await evaluateModels({ ...options, models: [tinyFamily("phi3")], shifts: [16] }, context);
    expect(notices).toEqual([expect.stringMatching(/phi3 itself changes by .* at shift 16: .*LongRoPE/)]);
  });
});

describe("eval beside the first model", () => {
  it("has the same figures with and without KL, and KL of 0 beside the model itself", async () => {
    const options = { models: [latent, latent, whole], files, windows: 3, window: 48 };
    const both = await evaluateModels(options, quietContext);
    const apart = await evaluateModels({ ...options, divergence: "skip" }, quietContext);
    expect(both.windows).toBe(3);
    const [first, same, original] = both.models;
    expect(first).not.toHaveProperty("kl");
    expect(same).toMatchObject({ kl: 0, changedChoices: 0, ratio: 1 });
    expect(original!.kl).toBeGreaterThan(0.1);
    expect(original!.changedChoices).toBeGreaterThan(0.1);
    expect(original!.bootstrap.kl!.error).toBeGreaterThan(0);
    for (const [index, model] of apart.models.entries()) {
      expect(model).not.toHaveProperty("kl");
      expect(model.ratio).toBeCloseTo(both.models[index]!.ratio, 6);
      expect(model.positions).toMatchObject([{ start: 0, end: 48, tokens: 144 }]);
    }
  });

  it("compares distributions over one vocabulary only, and says so", async () => {
    const { notices, context } = listening();
    const models = [tinyFamily("llama"), await writeTinyModel(join(folder, "larger"), { vocab_size: 97 })];
    const result = await evaluateModels({ models, files: tinyFiles, windows: 1, window: 16 }, context);
    expect(result.models[1]).not.toHaveProperty("kl");
    expect(result.models[1]!.ratio).toBeGreaterThan(0);
    expect(notices).toEqual([
      expect.stringMatching(/^no KL for .*: its logits are over .* tokens, those of .* over 96$/),
    ]);
  });

  it("measures LongPPL over the first model's key tokens", async () => {
    const options = { models: [whole, latent], files, windows: 4, window: 64 };
    const { models, keyTokens } = await evaluateModels(
      { ...options, longPerplexity: { shortContext: 8 } },
      quietContext,
    );
    expect(keyTokens!.shortContext).toBe(8);
    expect(keyTokens!.tokens).toBeGreaterThan(0);
    // Key tokens are those of which the first model is sure by more than 2 nats.
    expect(models[0]!.keyTokens).toMatchObject({ tokens: keyTokens!.tokens, ratio: 1 });
    expect(models[0]!.keyTokens!.perplexity).toBeLessThan(Math.exp(2));
    // What needs the long context suffers more from folding than the rest.
    expect(models[1]!.keyTokens!.ratio).toBeGreaterThan(models[1]!.ratio);
    const short = await failureOf(
      evaluateModels({ ...options, longPerplexity: { shortContext: 60 } }, quietContext),
    );
    expect(short).toMatchObject({ code: "usage" });
    expect(short.message).toMatch(/^--short-context 60: windows of 64 tokens .* ask for 32 or less$/);
  });

  it("counts exact answers of a fold beside its original", async () => {
    const text = await readValidation(103);
    const file = join(folder, "items.jsonl");
    const item = { task: "text", length: 100, ids: text.slice(0, 100), answer_ids: text.slice(100) };
    await writeFile(file, JSON.stringify(item));
    const { models } = await probeRetrieval({ models: [whole, latent], file }, quietContext);
    expect(models.map(({ cacheBytesPerToken }) => cacheBytesPerToken)).toEqual([12_288, 3072]);
    expect(models.map(({ all }) => all.items)).toEqual([1, 1]);
    expect(models[0]!.all.teacherForced).toBe(1);
  });
});
