import { createMatrix, identity, plainProducts } from "@kvfold/linalg";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { type Budget, type Method, planFold } from "../src/index.js";
import { workerBlockMath } from "../src/node.js";
import { principalComponents } from "./own/principal-components.mjs";
import { foldedLogits, foldInMemory } from "./support/fold-in-memory.js";
import { LOGIT_TOLERANCE, largestDifference, randomWindows } from "./support/numbers.js";
import { projectorLogits } from "./support/projector-form.js";

/** A budget that is not of this package, as a user writes one. */
const firstLayers: Budget = {
  name: "first-layers",
  summary: "the first half of the layers keeps half as much again, the rest half as much",
  reference: "an example",
  needsText: false,
  allocate: async ({ grid }) => {
    const more = Math.floor(Math.min(grid.uniform / 2, grid.full - grid.uniform));
    return Array.from({ length: grid.layers }, (_, layer) =>
      grid.layer(layer < grid.layers / 2 ? grid.uniform + more : grid.uniform - more),
    );
  },
};
const windows = randomWindows(3, 24, { vocabulary: 61 });
const open = () => syntheticCheckpoint({ config: tinyLlama });

describe("a method of one's own", () => {
  it("is planned, folds and runs like those of the package", async () => {
    const folded = await foldInMemory(await open(), { windows, keep: "1/2", method: principalComponents });
    expect(folded.plan).toMatchObject({ method: "principal-components", taps: ["keys", "values"] });
    const [tokens] = windows;
    const expected = await projectorLogits(folded, tokens!);
    expect(largestDifference(await foldedLogits(folded, tokens!), expected)).toBeLessThan(LOGIT_TOLERANCE);
  });

  it("folds to the same bits in a thread whose script gives it", async () => {
    const fold = { windows, keep: "1/2", method: principalComponents } as const;
    // Node cannot run TypeScript in a worker: the thread runs the build (npm run build).
    const math = workerBlockMath({ script: new URL("./own/block-math-worker.mjs", import.meta.url) });
    try {
      const threaded = await foldInMemory(await open(), { ...fold, math });
      const { files } = await foldInMemory(await open(), fold);
      expect(threaded.files).toEqual(files);
    } finally {
      await math.dispose();
    }
  });

  it("is unknown to a thread whose script does not", async () => {
    const math = workerBlockMath();
    try {
      const folding = foldInMemory(await open(), {
        windows,
        keep: "1/2",
        method: principalComponents,
        math,
      });
      await expect(folding).rejects.toThrow(/^method "principal-components" is unknown; .* give your own/);
    } finally {
      await math.dispose();
    }
  });

  it("cannot take the name of another", async () => {
    const { config } = await open();
    expect(() =>
      planFold(config, { keep: "1/2", method: { ...principalComponents, name: "latent" } }),
    ).toThrow(
      expect.objectContaining({
        code: "invalid-option",
        option: "method",
        message: 'method "latent": a method of this package has that name; give yours another',
      }),
    );
  });

  it("names its span when that does not divide the heads", async () => {
    const { config } = await open();
    const spans = () => ({ keys: 3, values: 2 });
    expect(() => planFold(config, { keep: "1/2", method: { ...principalComponents, spans } })).toThrow(
      /^method principal-components: its span of 3 for keys does not divide the model's 4 KV heads/,
    );
  });

  it("has its ranks, and is refused where it allows none", async () => {
    const { config } = await open();
    const plan = (allowsRank: Required<Method>["allowsRank"]) =>
      planFold(config, { keep: "1/2", method: { ...principalComponents, allowsRank } });
    expect(plan(({ rank }) => rank % 5 === 0).layers[0]!.keys).toEqual({ span: 2, heads: 2, rank: 15 });
    expect(() => plan(() => false)).toThrow(/allows none of the ranks \(allowsRank\) .* it can: none$/);
  });

  it.each([
    ["encode of another shape", { encode: identity(32) }, /expected encode of \[32, 16\], found \[32, 32\]/],
    ["decode of another shape", { decode: identity(32) }, /expected decode of \[16, 32\], found \[32, 32\]/],
    [
      "numbers that are not finite",
      { encode: createMatrix(32, 16, new Float64Array(512).fill(Number.NaN)) },
      /encode has numbers that are not finite/,
    ],
    ["an offset of keys", { offset: new Float64Array(32) }, /keys cannot have an offset/],
    ["slots of another number", { slots: [0] }, /expected slots for 8 pairs, found 1/],
  ] as const)("is refused with %s", async (_, change, message) => {
    const basis: Method["basis"] = async (group, products) => ({
      ...(await principalComponents.basis!(group, products)),
      ...change,
    });
    const folding = foldInMemory(await open(), {
      windows,
      keep: "1/2",
      method: { ...principalComponents, basis },
    });
    await expect(folding).rejects.toThrow(
      expect.objectContaining({
        code: "invalid-option",
        option: "method",
        message: expect.stringMatching(message),
      }),
    );
  });

  it("is refused with bases for some groups only", async () => {
    const bases: Method["bases"] = async ([first]) => [
      await principalComponents.basis!(first!, plainProducts),
    ];
    const folding = foldInMemory(await open(), {
      windows,
      keep: "1/2",
      method: { ...principalComponents, bases },
    });
    await expect(folding).rejects.toThrow(
      "method principal-components: layer 0, keys, group 0: expected 2 bases, found 1",
    );
  });
});

describe("a budget of one's own", () => {
  const fold = async (budget: Budget, options: Partial<foldInMemory.Options> = {}) =>
    foldInMemory(await open(), { windows, keep: "1/2", method: "svd-w", ...options, budget });

  it("settles a plan like those of the package", async () => {
    const { plan } = await fold(firstLayers);
    expect(plan).toMatchObject({ budget: "first-layers", settled: true, achieved: 1 / 2 });
    expect(plan.layers.map(({ keys }) => keys.rank)).toEqual([24, 8]);
  });

  it("goes with a method of one's own", async () => {
    const { plan } = await fold(firstLayers, { method: principalComponents });
    expect(plan.layers.map(({ values }) => values.rank)).toEqual([24, 8]);
  });

  it("cannot take the name of another", async () => {
    await expect(fold({ ...firstLayers, name: "knapsack" })).rejects.toThrow(
      'budget "knapsack": a budget of this package has that name; give yours another',
    );
  });

  const side = (rank: number, span = 2) => ({ span, heads: 4 / span, rank });
  const layer = (keys: number, values = keys, span = 2) => ({
    keys: side(keys, span),
    values: side(values, span),
  });
  it.each([
    ["fewer layers", [layer(16)], /expected 2 layers, found 1/],
    ["more than the total", [layer(24), layer(16)], /expected 128 numbers per token at most, found 160/],
    [
      "more than a span holds",
      [layer(8), layer(40, 8)],
      /layer 1, keys: expected a rank of 1 to 32, found 40/,
    ],
    ["half a number", [layer(16), layer(8, 7.5)], /layer 1, values: expected a rank of 1 to 32, found 7.5/],
    [
      "other spans",
      [layer(16), layer(16, 16, 4)],
      /layer 1, keys: expected 2 heads of span 2, found 1 of span 4/,
    ],
  ])("is refused with %s", async (_, layers, message) => {
    const allocate = async () => layers;
    await expect(fold({ ...firstLayers, allocate } as Budget)).rejects.toThrow(
      expect.objectContaining({
        code: "invalid-option",
        option: "budget",
        message: expect.stringMatching(message),
      }),
    );
  });

  it("is refused with ranks that the method cannot make", async () => {
    const allocate = async () => [layer(16), layer(15)];
    const folding = fold({ ...firstLayers, allocate } as Budget, { method: "commuting-reallocated" });
    await expect(folding).rejects.toThrow(
      "budget first-layers: layer 1, keys: method commuting-reallocated does not allow rank 15",
    );
  });
});
