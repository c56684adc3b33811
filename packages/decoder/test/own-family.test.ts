import { describe, expect, it } from "vitest";
import { describeLlama, type Family, linear } from "../src/families.js";
import { families, readConfig } from "../src/index.js";
import { readFields } from "./support/families.js";
import { mapTensors, openTensors, readTensors, stackRows, type Tensors } from "./support/tensors.js";

/** What someone else's package would hold: Llama with fused projections and an epsilon under another name. */
const gnome: Family = {
  name: "Gnome",
  modelType: "gnome",
  describe: (config) =>
    describeLlama(config, {
      epsilon: ["norm_eps", 1e-5],
      projections: (module) => ({ layout: "contiguous", fused: linear(`${module}.qkv`, false) }),
    }),
};

const own = [...families, gnome];
const { rms_norm_eps: epsilon, attention_bias: _, mlp_bias: __, ...golden } = readFields("llama-yarn");
const fields = { ...golden, model_type: "gnome", norm_eps: epsilon };

const fuse = (tensors: Tensors): Tensors =>
  mapTensors(tensors, (name, tensor) => {
    if (/[kv]_proj/.test(name)) return [];
    if (!name.includes("q_proj")) return [[name, tensor]];
    const parts = ["q_proj", "k_proj", "v_proj"].map((part) => tensors.get(name.replace("q_proj", part))!);
    return [[name.replace("q_proj", "qkv"), stackRows(parts)]];
  });

describe("a family that is not kvfold's own", () => {
  it("is read by those who bring it, and by nobody else", async () => {
    const tensors = fuse(await readTensors("llama-yarn"));
    const checkpoint = await openTensors(fields, tensors, { families: own });
    expect([checkpoint.config.family, checkpoint.notices]).toEqual([gnome, []]);
    await expect(openTensors(fields, tensors)).rejects.toThrow(/model_type "gnome" is not supported/);
  });

  it("is told on for fields that it does not read", () => {
    const { notices } = readConfig(JSON.stringify({ ...fields, gnome_hats: 3 }), { families: own });
    expect(notices).toEqual([expect.stringMatching(/does not know gnome_hats;/)]);
  });

  it("stands in for one of kvfold's, or for a type that kvfold refuses, where it comes first", () => {
    for (const modelType of ["llama", "minicpm3"]) {
      const mine = { ...gnome, modelType };
      const text = JSON.stringify({ ...fields, model_type: modelType });
      expect(readConfig(text, { families: [mine, ...families] }).family).toBe(mine);
    }
  });

  it("still takes no quantised checkpoints", () => {
    const text = JSON.stringify({ ...fields, quantization_config: { bits: 4 } });
    expect(() => readConfig(text, { families: own })).toThrow(/quantised checkpoints are not supported/);
  });
});
