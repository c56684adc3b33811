import { type Moments, mergeMoments } from "@kvfold/linalg";
import { bytesSource, serializeSafetensors } from "@kvfold/safetensors";
import { describe, expect, it } from "vitest";
import { loadMoments, type ModelMoments, mergeModelMoments, saveMoments } from "./moments-file.js";

/** Moments of rows of two numbers. */
function momentsOf(...rows: readonly (readonly [number, number])[]): Moments {
  return rows
    .map(
      ([x, y]): Moments => ({
        width: 2,
        count: 1,
        sum: Float64Array.of(x, y),
        gram: Float64Array.of(x * x, x * y, x * y, y * y),
      }),
    )
    .reduce((a, b) => mergeMoments(a, b));
}

const model: ModelMoments = {
  layers: [
    { keys: momentsOf([1, 2], [3, 0.1]), values: momentsOf([0, 1]) },
    { keys: momentsOf([5, 6]), values: momentsOf([7, 1 / 3]) },
  ],
  description: { model: "prose-6m", windows: "2 of 1024" },
};

const load = (bytes: Uint8Array) => loadMoments(bytesSource(bytes));

const tensor = (name: string, values: readonly number[], shape: readonly number[] = [values.length]) => ({
  name,
  dtype: "F64" as const,
  shape,
  data: new Uint8Array(Float64Array.from(values).buffer),
});

describe("saveMoments and loadMoments", () => {
  it("bring moments back to the last bit, with their description", async () => {
    expect(await load(saveMoments(model))).toEqual(model);
  });

  it("keep layers in order whatever the order of tensors in the file", async () => {
    const layers = Array.from({ length: 12 }, (_, index) => ({ keys: momentsOf([index, 1]) }));
    const loaded = await load(saveMoments({ layers, description: {} }));
    expect(loaded.layers.map(({ keys }) => keys!.sum[0])).toEqual(layers.map((_, index) => index));
  });

  it("read from any place in memory", async () => {
    const bytes = saveMoments(model);
    const shifted = new Uint8Array(bytes.byteLength + 3);
    shifted.set(bytes, 3);
    expect(await load(shifted.subarray(3))).toEqual(model);
  });
});

describe("loadMoments refuses", () => {
  const metadata = { format: "kvfold-moments-1" };
  const gram = tensor("layers.0.keys.gram", [1, 2, 2, 4], [2, 2]);
  const sum = tensor("layers.0.keys.sum", [1, 2]);
  const count = tensor("layers.0.keys.count", [1]);

  it("safetensors of another kind, such as a checkpoint", async () => {
    await expect(load(serializeSafetensors([sum], { format: "pt" }))).rejects.toThrow(
      expect.objectContaining({
        code: "malformed-moments",
        message: 'expected a kvfold-moments-1 file, found format "pt"',
      }),
    );
    await expect(load(serializeSafetensors([sum]))).rejects.toThrow(/found format undefined/);
  });

  const incomplete: readonly [
    name: string,
    tensors: Parameters<typeof serializeSafetensors>[0],
    part: string,
  ][] = [
    ["a missing sum", [gram, count], "sum"],
    ["a missing count", [gram, sum], "count"],
    ["a sum of another width", [gram, tensor("layers.0.keys.sum", [1, 2, 3]), count], "sum"],
    ["a gram that is no square", [tensor("layers.0.keys.gram", [1, 2], [2, 1]), sum, count], "gram"],
    [
      "float32 sums",
      [gram, { name: sum.name, dtype: "F32", shape: [4], data: new Uint8Array(16) }, count],
      "sum",
    ],
  ];
  it.each(incomplete)("%s, naming the tensor", async (_, tensors, part) => {
    await expect(load(serializeSafetensors(tensors, metadata))).rejects.toThrow(
      expect.objectContaining({
        code: "malformed-moments",
        message: `tensor layers.0.keys.${part} is missing or has another shape or type`,
      }),
    );
  });

  it("a layer number that no model has, without filling the memory", async () => {
    const far = [gram, sum, count].map((part) => ({ ...part, name: part.name.replace("0", "4000000000") }));
    await expect(load(serializeSafetensors(far, metadata))).rejects.toThrow(
      expect.objectContaining({ code: "malformed-moments" }),
    );
  });

  it("a truncated file, and what is no safetensors file", async () => {
    const bytes = saveMoments(model);
    for (const broken of [bytes.subarray(0, bytes.byteLength - 8), new TextEncoder().encode("not a file")])
      await expect(load(broken)).rejects.toThrow(expect.objectContaining({ name: "SafetensorsError" }));
  });
});

describe("mergeModelMoments", () => {
  const part = (keys: Moments, description = {}): ModelMoments => ({ layers: [{ keys }], description });

  it("equals moments measured on all tokens at once", () => {
    const merged = mergeModelMoments([
      part(momentsOf([1, 2]), { shard: "1" }),
      part(momentsOf([3, 4])),
      part(momentsOf([5, 6])),
    ]);
    expect(merged).toEqual(part(momentsOf([1, 2], [3, 4], [5, 6]), { shard: "1" }));
  });

  it("changes none of its parts", () => {
    const [first, second] = [part(momentsOf([1, 2])), part(momentsOf([3, 4]))];
    mergeModelMoments([first, second]);
    expect([first, second]).toEqual([part(momentsOf([1, 2])), part(momentsOf([3, 4]))]);
  });

  const wide = { width: 3, count: 1, sum: new Float64Array(3), gram: new Float64Array(9) };
  it.each([
    ["nothing at all", []],
    ["models of other widths", [part(momentsOf([1, 2])), part(wide)]],
    ["other names", [part(momentsOf([1, 2])), { layers: [{ values: momentsOf([1, 2]) }], description: {} }]],
    ["fewer layers", [part(momentsOf([1, 2])), { layers: [], description: {} }]],
    [
      "more layers",
      [part(momentsOf([1, 2])), { layers: [{ keys: momentsOf([1, 2]) }, { keys: wide }], description: {} }],
    ],
    [
      "more names",
      [
        part(momentsOf([1, 2])),
        { layers: [{ keys: momentsOf([1, 2]), values: momentsOf([1, 2]) }], description: {} },
      ],
    ],
  ] as const)("refuses %s", (_, parts) => {
    expect(() => mergeModelMoments(parts)).toThrow(expect.objectContaining({ code: "moments-mismatch" }));
  });
});
