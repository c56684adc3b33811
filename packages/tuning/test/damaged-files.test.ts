import { checkpointParts } from "@kvfold/decoder";
import { encodeFloats, serializeSafetensors } from "@kvfold/safetensors";
import { expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { createAdapters, loadAdapters, mergeAdapters, readIdentity, restoreState } from "../src/index.js";

const file = (metadata: Record<string, string>, tensors: Readonly<Record<string, readonly number[]>> = {}) =>
  serializeSafetensors(
    Object.entries(tensors).map(([name, shape]) => {
      const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
      return { name, dtype: "F32" as const, shape, data: encodeFloats(values, "F32") };
    }),
    metadata,
  );

const prefix = "base_model.model.model.layers.0.self_attn.q_proj.lora_";
const one = JSON.stringify([["attn.q_proj.MatMul.weight"]]);

it.each([
  [{ names: "[[" }, {}, 'names: expected a list of weights for each layer, found "[["'],
  [{ names: "{}" }, {}, "names: expected a list of weights for each layer"],
  [{ names: "[[1]]" }, {}, "names: expected a list of weights for each layer"],
  [{}, {}, "names: expected a list of weights for each layer, found none"],
  [{ names: "[]", scale: "much" }, {}, 'scale: expected a number, found "much"'],
  [{ names: "[]", scale: "" }, {}, 'scale: expected a number, found ""'],
  [{ names: one, scale: "1" }, {}, `tensor ${prefix}A.weight is missing`],
  [{ names: one, scale: "1" }, { A: [6] }, "expected a matrix or several, found [6]"],
  [
    { names: one, scale: "1" },
    { A: [2, 3], B: [3, 1] },
    "A and B have no product, turned they are [3, 2] and [1, 3]",
  ],
])(
  "adapters with %j and tensors %j are refused",
  async (metadata, tensors: Record<string, number[]>, message) => {
    const named = Object.fromEntries(
      Object.entries(tensors).map(([half, shape]) => [`${prefix}${half}.weight`, shape]),
    );
    const bytes = file({ format: "kvfold-adapters-1", ...metadata } as Record<string, string>, named);
    const loading = loadAdapters(bytes, "adapters.safetensors");
    await expect(loading).rejects.toMatchObject({ code: "unusable-state" });
    await expect(loading).rejects.toThrow(message);
    await expect(loading).rejects.toThrow(/^adapters\.safetensors/);
  },
);

it.each([
  ["{", "its progress is damaged"],
  ["[]", "its progress is damaged"],
  ['{"step":-1,"losses":[],"heldOut":[]}', "step: expected a count, found -1"],
  ['{"step":2,"losses":[1],"heldOut":[]}', "losses: expected 2 numbers"],
  ['{"step":1,"losses":["1"],"heldOut":[]}', "losses: expected 1 numbers"],
  ['{"step":1,"losses":[1],"heldOut":[{"step":0}]}', "heldOut: expected a list of steps and their losses"],
])("a state with progress %j is refused", async (progress, message) => {
  const bytes = file({ format: "kvfold-tuning-1", identity: "{}", progress });
  const restoring = restoreState(bytes, []);
  await expect(restoring).rejects.toMatchObject({ code: "unusable-state" });
  await expect(restoring).rejects.toThrow(message);
});

it.each(["{", "[]", '{"checkpoint":1}'])("a state with identity %j is refused", async (identity) => {
  const bytes = file({ format: "kvfold-tuning-1", identity, progress: "{}" });
  await expect(readIdentity(bytes)).rejects.toMatchObject({ code: "unusable-state" });
});

it("adapters of another block are refused", async () => {
  const block = await checkpointParts(await syntheticCheckpoint({ config: tinyLlama })).block(0);
  const [adapter] = createAdapters(block, 0, { rank: 2, parts: ["query"], seed: 0 });
  const { down, weight } = adapter!;
  const wide = { ...adapter!, down: { ...down, dims: [down.dims[0]! + 1, 2] } };
  expect(() => mergeAdapters(block, [wide], 1)).toThrow(
    /^adapter of attn.q_proj.MatMul.weight: .* its map is \[/,
  );
  const other = { ...adapter!, weight: `${weight}.other` };
  expect(() => mergeAdapters(block, [other], 1)).toThrow("the block has no such map");
});
