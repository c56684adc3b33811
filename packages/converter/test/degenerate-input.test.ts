import { type Checkpoint, openCheckpoint } from "@kvfold/decoder";
import { describe, expect, it } from "vitest";
import { referenceLogits } from "../../decoder/test/reference/decoder.js";
import {
  memoryFolder,
  syntheticCheckpoint,
  syntheticFiles,
  tinyBloom,
  tinyLlama,
} from "../../decoder/test/reference/synthetic-checkpoint.js";
import { ConverterError, type Method, methods } from "../src/index.js";
import type { Heal } from "../src/methods/heal.js";
import { foldedLogits, foldInMemory } from "./support/fold-in-memory.js";
import { LOGIT_TOLERANCE, largestDifference, randomWindows } from "./support/numbers.js";

/** One layer: what is degenerate is degenerate in the first, and every method is tried on every case. */
const llama = { ...tinyLlama, num_hidden_layers: 1 };
const bloom = { ...tinyBloom, n_layer: 1 };
const withHeads = (heads: number, kvHeads: number) => ({
  ...llama,
  num_attention_heads: heads,
  num_key_value_heads: kvHeads,
});

const [tokens] = randomWindows(1, 24, { vocabulary: 61, seed: 3 }) as [Int32Array];
/** The size of every window below that is not degenerate itself. */
const enough = randomWindows(2, 40, { vocabulary: 61 });

const keepFor = (method: Method, keep: string): string => (method.name === "none" ? "1" : keep);

async function logitsOf(
  method: Method,
  config: Readonly<Record<string, unknown>>,
  { keep, windows }: { readonly keep: string; readonly windows: readonly Int32Array[] },
): Promise<Float32Array> {
  const checkpoint = await syntheticCheckpoint({ config });
  const options = { keep: keepFor(method, keep), method: method.name, windows };
  return foldedLogits(await foldInMemory(checkpoint, options), tokens);
}

const allFinite = (logits: Float32Array) => logits.every(Number.isFinite);

/** Code and message of a refusal; any other error is one. */
function refusalOf(error: unknown): string {
  if (ConverterError.isInstance(error)) return `${error.code}: ${error.message}`;
  throw error;
}

describe.each(methods.map((method) => [method.name, method] as const))("%s", (name, method) => {
  describe("calibrated on next to nothing keeps logits finite", () => {
    it.each([
      // Nothing to attend to but itself: score errors do no harm, so that metrics are zero, like all covariances.
      ["one token", [Int32Array.of(5)], llama],
      // Values have no covariance. Longer than the model's context of 128: positions go on, as in calibration they may.
      ["one token again and again, beyond the context", [new Int32Array(150).fill(5)], llama],
      // Three tokens span at most three of the 48 dimensions.
      ["three tokens", randomWindows(1, 3, { vocabulary: 61 }), bloom],
    ])("%s", async (_, windows, config) => {
      expect(allFinite(await logitsOf(method, config, { keep: "1/2", windows }))).toBe(true);
    });
  });

  it.each([
    ["6 heads to 1/3", withHeads(6, 6), "1/3"],
    ["3 heads to 1/2", withHeads(3, 3), "1/2"],
    ["2 KV heads of 6 query heads to 1/2", withHeads(6, 2), "1/2"],
    ["2 KV heads of 6 query heads to 1/8", withHeads(6, 2), "1/8"],
  ])("folds %s, or says what whole heads can be", async (_, config, keep) => {
    const outcome = await logitsOf(method, config, { keep, windows: enough }).then(
      (logits) => (allFinite(logits) ? "finite" : "not finite"),
      refusalOf,
    );
    const refusal = /^invalid-option: keep .*; the nearest it can: 1\/[23]/;
    expect(outcome).toMatch(method.standardShape ? new RegExp(`^finite$|${refusal.source}`) : /^finite$/);
  });

  it("keeps logits finite where dimensions and frequencies are silent", async () => {
    const checkpoint = await editedLlama(silenceHalf);
    const options = { keep: keepFor(method, "1/2"), method: name, windows: enough };
    const folded = await foldInMemory(checkpoint, options);
    expect(allFinite(await foldedLogits(folded, tokens))).toBe(true);
  });
});

const measuring = methods.filter(({ taps }) => taps.length > 0);

it.each(measuring.map((method) => [method.name, method] as const))(
  "%s asks for calibration text when there is none",
  async (name, method) => {
    await expect(logitsOf(method, llama, { keep: "1/2", windows: [] })).rejects.toThrow(
      new RegExp(`(method ${name} .*|budget power )needs calibration text`),
    );
  },
);

/** Bases that look at nothing, and bases of single heads, do not find what heads share. */
const BLIND_TO_TWINS = ["random", "eigen-attention"];
/** Averages, and one number for each frequency whether it is used or not, do not find what heads leave out. */
const BLIND_TO_SILENCE = ["random", "mean", "commuting"];

/**
 * What healing adds to a fold without loss. It should add nothing, but float32 sums are rounded by 6e-8 of their largest
 * eigenvalue, at most 64 times the mean (the width of the attention), and the ridge lets through 1 / 1e-3 of that mean.
 */
const HEALED_TOLERANCE = 4e-3;

describe("half a cache that holds all there is", () => {
  const seeing = (blind: readonly string[]) =>
    methods
      .filter(({ name }) => name !== "none" && !blind.includes(name))
      .flatMap(({ name, heal = "none" }) =>
        [...new Set([heal, "none"] as const)].map((half) => [name, half] as const),
      );
  // A slow pair hardly turns within its chunk, so that a joint latent has directions of next to no energy: what float32
  // moments tell of these is off by a tenth.
  const unhealed = (method: string) => (method === "anchored" ? 1e-3 : LOGIT_TOLERANCE);
  const tolerance = (method: string, heal: Heal) => (heal === "none" ? unhealed(method) : HEALED_TOLERANCE);

  it.each(seeing(BLIND_TO_TWINS))(
    "loses nothing under %s (heal %s) where heads are twins",
    async (method, heal) => {
      expect(await halvingDifference(makeTwins, method, heal)).toBeLessThan(tolerance(method, heal));
    },
  );

  it.each(seeing(BLIND_TO_SILENCE))(
    "loses nothing under %s (heal %s) where dimensions are silent",
    async (method, heal) => {
      expect(await halvingDifference(silenceHalf, method, heal)).toBeLessThan(tolerance(method, heal));
    },
  );

  it.each(BLIND_TO_TWINS)("does lose something under %s where heads are twins", async (method) => {
    // The cases above could not fail if half a cache always were enough.
    expect(await halvingDifference(makeTwins, method, "none")).toBeGreaterThan(0.1);
  });
});

async function halvingDifference(edit: EditRows, method: string, heal: Heal): Promise<number> {
  const checkpoint = await editedLlama(edit);
  const folded = await foldInMemory(checkpoint, { keep: "1/2", method, heal, windows: enough });
  const { data } = await referenceLogits(checkpoint, tokens);
  return largestDifference(await foldedLogits(folded, tokens), data);
}

/** Rows `[outputs, inputs]` of a float32 weight, to be changed in place. */
type EditRows = (module: "q_proj" | "k_proj" | "v_proj", row: (index: number) => Float32Array) => void;

const [heads, headDim] = [tinyLlama.num_key_value_heads as number, tinyLlama.head_dim as number];

/** Of every two heads the second has the keys and values of the first. */
const makeTwins: EditRows = (module, row) => {
  if (module === "q_proj") return;
  for (let index = 0; index < heads * headDim; index++) {
    const head = Math.floor(index / headDim);
    row(index).set(row((head - (head % 2)) * headDim + (index % headDim)));
  }
};

/** Every other dimension of every head is zero, and with it every other frequency of queries and keys. */
const silenceHalf: EditRows = (_, row) => {
  for (let index = 1; index < heads * headDim; index += 2) row(index).fill(0);
};

/** The tiny Llama with its projections changed. */
async function editedLlama(edit: EditRows): Promise<Checkpoint> {
  const files = syntheticFiles({ config: llama });
  const bytes = files.get("model.safetensors") as Uint8Array;
  const { byteOffset, buffer } = bytes;
  const headerBytes = Number(new DataView(buffer, byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes))) as Record<
    string,
    { readonly shape: readonly [number, number]; readonly data_offsets: readonly [number, number] }
  >;
  for (const module of ["q_proj", "k_proj", "v_proj"] as const) {
    const tensor = header[`model.layers.0.self_attn.${module}.weight`]!;
    const start = byteOffset + 8 + headerBytes + tensor.data_offsets[0];
    const width = tensor.shape[1];
    edit(module, (index) => new Float32Array(buffer, start + 4 * index * width, width));
  }
  return openCheckpoint(memoryFolder(files));
}
