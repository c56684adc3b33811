import type { FolderSource, ModelTarget } from "@kvfold/decoder";
import { readModel } from "@kvfold/onnx";
import { expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { planFold } from "../plan/plan-fold.js";
import { genaiConfig } from "./genai-config.js";
import { writeFiles } from "./write-files.js";

const generation = JSON.stringify({ eos_token_id: [2, 7] });
const source: FolderSource = {
  name: "memory",
  readText: async (path) => (path === "generation_config.json" ? generation : undefined),
  openBytes: async () => undefined,
};

/** A target in memory. */
function memory() {
  const files = new Map<string, Buffer>();
  const target: ModelTarget = {
    open: async (path) => {
      const pieces: Uint8Array[] = [];
      return {
        write: async (bytes) => void pieces.push(bytes.slice()),
        close: async () => void files.set(path, Buffer.concat(pieces)),
      };
    },
  };
  return { target, files };
}

interface GenaiConfig {
  readonly model: {
    readonly [name: string]: unknown;
    readonly decoder: {
      readonly filename: string;
      readonly num_hidden_layers: number;
      readonly num_key_value_heads: number;
      readonly head_size: number;
      readonly inputs: Readonly<Record<string, string>>;
      readonly outputs: Readonly<Record<string, string>>;
    };
  };
}

it("names the inputs and outputs of the graph beside it, and the shape of its cache", async () => {
  const checkpoint = await syntheticCheckpoint({ config: { ...tinyLlama, bos_token_id: 1 } });
  const plan = planFold(checkpoint.config, { keep: "1/2", method: "svd-w" });
  const { target, files } = memory();
  await writeFiles({ checkpoint, plan, source, target });
  const { model } = JSON.parse(files.get("genai_config.json")!.toString()) as GenaiConfig;
  // Those of generation_config.json come first.
  expect(model).toMatchObject({ bos_token_id: 1, eos_token_id: [2, 7], pad_token_id: 2 });
  const { filename, inputs, outputs, num_hidden_layers: layers, ...shape } = model.decoder;
  const { inputs: found, outputs: made } = readModel(files.get(filename)!);
  const names = (templates: Readonly<Record<string, string>>) =>
    Object.values(templates).flatMap((name) =>
      name.includes("%d")
        ? Array.from({ length: layers }, (_, layer) => name.replace("%d", String(layer)))
        : [name],
    );
  // position_ids are given to graphs that have them.
  expect(names(inputs)).toEqual(expect.arrayContaining(found.map(({ name }) => name)));
  expect(names(outputs).toSorted()).toEqual(made.map(({ name }) => name).toSorted());
  const caches = found.filter(({ name }) => name.startsWith("past_key_values."));
  expect(caches).toHaveLength(2 * layers);
  for (const { dims } of caches) {
    expect(dims![1]).toBe(shape.num_key_value_heads);
    expect(dims![3]).toBe(shape.head_size);
  }
});

it("is not there for caches of several shapes, nor without an end of texts", async () => {
  const { config } = await syntheticCheckpoint({ config: tinyLlama });
  const plan = planFold(config, { keep: "1/2", method: "svd-w" });
  expect(genaiConfig(config, plan, { eos_token_id: 2 })).toBeDefined();
  const [first, ...others] = plan.layers;
  const uneven = [{ ...first!, keys: { ...first!.keys, rank: first!.keys.rank / 2 } }, ...others];
  expect(genaiConfig(config, { ...plan, layers: uneven }, { eos_token_id: 2 })).toBeUndefined();
  const { eos_token_id: _, ...fields } = config.fields;
  expect(genaiConfig({ ...config, fields }, plan)).toBeUndefined();
});
