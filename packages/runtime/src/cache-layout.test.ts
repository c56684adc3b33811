import { describe, expect, it } from "vitest";
import { cacheBytesPerToken, readCacheLayout, type TensorInfo } from "./index.js";

const info = (
  name: string,
  shape: TensorInfo["shape"],
  type: TensorInfo["type"] = "float32",
): TensorInfo => ({
  name,
  shape,
  type,
});

/** The declared cache of one layer, `past_sequence_length` or `cache_length` tokens long. */
function layer(
  index: number,
  key: readonly [number, number],
  value: readonly [number, number],
  length = "cache_length",
) {
  const entries = [
    ["key", key],
    ["value", value],
  ] as const;
  return {
    inputs: entries.map(([kind, [heads, size]]) =>
      info(`past_key_values.${index}.${kind}`, ["B", heads, length, size]),
    ),
    outputs: entries.map(([kind, [heads, size]]) =>
      info(`present.${index}.${kind}`, ["B", heads, length, size]),
    ),
  };
}

const join = (...layers: readonly ReturnType<typeof layer>[]) => ({
  inputs: [info("input_ids", ["B", "S"], "int64"), ...layers.flatMap(({ inputs }) => inputs)],
  outputs: [info("logits", ["B", "S", 9]), ...layers.flatMap(({ outputs }) => outputs)],
});

describe("readCacheLayout", () => {
  it("reads heads and sizes of keys and values of every layer on their own", () => {
    const layout = readCacheLayout(join(layer(0, [2, 64], [2, 64]), layer(1, [1, 128], [4, 16])));
    expect(layout.kind).toBe("in-place");
    expect(layout.layers).toHaveLength(2);
    expect(layout.layers[1]).toEqual({
      key: { past: "past_key_values.1.key", present: "present.1.key", type: "float32", heads: 1, size: 128 },
      value: {
        past: "past_key_values.1.value",
        present: "present.1.value",
        type: "float32",
        heads: 4,
        size: 16,
      },
    });
  });

  it("orders layers by number where the graph does not", () => {
    const layers = Array.from({ length: 11 }, (_, i) => layer(i, [1, i + 1], [1, i + 1])).reverse();
    expect(readCacheLayout(join(...layers)).layers.map(({ key }) => key?.size)).toEqual(
      Array.from({ length: 11 }, (_, i) => i + 1),
    );
  });

  it("reads a delta decoder: latents or keys and values, new rows, empty slots", () => {
    const dims = (heads: number, length: string, size: number) => ["B", heads, length, size];
    const past = (name: string, heads: number, size: number): TensorInfo => ({
      name: `past_key_values.${name}`,
      type: "float32",
      shape: dims(heads, "past_slots_64", size),
    });
    const fresh = (name: string): TensorInfo => ({
      name: `new_key_values.${name}`,
      type: "float32",
      shape: dims(1, "S", 8),
    });
    const layout = readCacheLayout({
      inputs: [
        { name: "past_positions", type: "int64", shape: ["B", "past_slots_64"] },
        past("0.latent", 1, 8),
        past("1.key", 2, 8),
        past("1.value", 2, 8),
      ],
      outputs: [fresh("0.latent"), fresh("1.key"), fresh("1.value")],
    });
    expect(layout).toMatchObject({ kind: "delta", slotMultiple: 64, indexInputs: ["past_positions"] });
    expect(layout.layers.map((layer) => Object.keys(layer))).toEqual([["latent"], ["key", "value"]]);
    expect(layout.layers[0]!.latent).toMatchObject({ present: "new_key_values.0.latent", heads: 1, size: 8 });
  });

  it("reads whether all layers attend in blocks", () => {
    const graph = (lengths: readonly string[]) => ({
      inputs: [
        info("past_positions", ["B", "past_slots_64"], "int64"),
        ...lengths.map((_, index) => info(`past_key_values.${index}.latent`, ["B", 1, "past_slots_64", 8])),
      ],
      outputs: lengths.map((length, index) => info(`new_key_values.${index}.latent`, ["B", 1, length, 8])),
    });
    const blocks = "sequence_length_in_blocks";
    expect(readCacheLayout(graph([blocks, blocks])).attendsInBlocks).toBe(true);
    expect(readCacheLayout(graph([blocks, "sequence_length"])).attendsInBlocks).toBe(false);
    expect(readCacheLayout(join(layer(0, [2, 8], [2, 8]))).attendsInBlocks).toBe(false);
  });

  it("reads caches of bytes and their scales, in policy graphs alone", () => {
    const tensors = (prefix: string, slots: string) => [
      info(`${prefix}.0.latent`, ["B", 2, slots, 8], "uint8"),
      info(`${prefix}.0.latent_int4_scale`, ["B", 2, slots, 1], "float16"),
    ];
    const inputs = tensors("past_key_values", "past_slots_64.0");
    const positions = info("past_positions.0", ["B", 1, "past_slots_64.0"], "int64");
    const outputs = tensors("new_key_values", "S");
    const layout = readCacheLayout({ inputs: [positions, ...inputs], outputs });
    expect(layout.layers[0]!.latent).toMatchObject({
      type: "uint8",
      quantised: { precision: "int4", scales: { type: "float16", heads: 2, size: 1 } },
    });
    expect(cacheBytesPerToken(layout)).toBe(2 * 8 + 2 * 2);
    const delta = info("past_positions", ["B", "past_slots_64"], "int64");
    for (const graph of [
      { inputs: [positions, inputs[0]!], outputs },
      { inputs: [delta, ...inputs], outputs },
      { inputs, outputs: tensors("present", "T") },
    ])
      expect(() => readCacheLayout(graph)).toThrow("expected a float32 or float16 cache, found uint8");
  });

  it("writes in place only if every past and present says so", () => {
    const mixed = join(layer(0, [2, 8], [2, 8]), layer(1, [2, 8], [2, 8], "past_sequence_length"));
    expect(readCacheLayout(mixed).kind).toBe("growing");
    const { inputs } = join(layer(0, [2, 8], [2, 8]));
    const { outputs } = join(layer(0, [2, 8], [2, 8], "total_sequence_length"));
    expect(readCacheLayout({ inputs, outputs }).kind).toBe("growing");
  });

  it.each([
    ["no cache", join(), /found none: export the model with its cache/],
    [
      "a missing layer",
      join(layer(0, [2, 8], [2, 8]), layer(2, [2, 8], [2, 8])),
      /expected past_key_values\.1\.key/,
    ],
    ["a missing present", { ...join(layer(0, [2, 8], [2, 8])), outputs: [] }, /expected present\.0\.key/],
    [
      "symbolic heads",
      symbolic(1),
      /past_key_values\.0\.key .* found \[B, heads, T, 8\]: export static KV heads/,
    ],
    ["a symbolic size", symbolic(3), /found \[B, 8, T, heads\]: export static KV heads and head sizes/],
    ["integers", integers(), /expected a float32 or float16 cache, found int8/],
  ])("explains what is wrong with %s", (_, graph, message) => {
    const attempt = () => readCacheLayout(graph);
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ code: "unsupported-model" }));
  });
});

describe("cacheBytesPerToken", () => {
  it("adds up keys and values of all layers in their own types", () => {
    const layout = readCacheLayout(join(layer(0, [2, 64], [2, 64]), layer(1, [1, 128], [4, 16])));
    expect(cacheBytesPerToken(layout)).toBe(4 * (2 * 128 + 128 + 64));
    const { key, value } = layout.layers[0]!;
    const halves = {
      key: { ...key!, type: "float16" as const },
      value: { ...value!, type: "float16" as const },
    };
    expect(cacheBytesPerToken({ ...layout, layers: [halves] })).toBe(2 * 256);
  });
});

function symbolic(axis: 1 | 3) {
  const { inputs, outputs } = join(layer(0, [8, 8], [8, 8]));
  const shape = ["B", 8, "T", 8].map((size, i) => (i === axis ? "heads" : size));
  return {
    inputs: inputs.map((one) => (one.name === "past_key_values.0.key" ? { ...one, shape } : one)),
    outputs,
  };
}

function integers() {
  const { inputs, outputs } = join(layer(0, [8, 8], [8, 8]));
  return { inputs: inputs.map((one) => ({ ...one, type: "int8" as const })), outputs };
}
