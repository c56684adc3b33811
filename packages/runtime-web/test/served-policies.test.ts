import type { CausalLM } from "@kvfold/runtime";
import * as ort from "onnxruntime-web";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { exportModel } from "../../decoder/test/support/export-model.js";
import type { ModelBytes } from "../src/index.js";
import type { GeneratedToken } from "../src/protocol.js";
import { ServedModel } from "../src/served-model.js";

type Policies = NonNullable<CausalLM.CacheOptions["cache"]>;

/** Every second token of the prompt goes. */
const halving: Policies[number] = {
  name: "halving",
  action: "drop",
  afterPrefill: ({ heads }) => heads.map(() => ({ kept: Int32Array.of(0, 2, 4, 6) })),
};

const { signal } = new AbortController();

async function load(executionProvider: "auto" | "webgpu", readPolicies?: () => Promise<Policies>) {
  const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
  const { bytes, externalData = [] } = (await exportModel(checkpoint, { form: "policy" })) as ModelBytes;
  const parts = [{ path: "model_policy.onnx", data: bytes }, ...externalData];
  const files = parts.map(({ path, data }) => new File([data as Uint8Array<ArrayBuffer>], path));
  const served = new ServedModel({
    importOrt: async () => ort,
    wasmPaths: undefined,
    readPolicies,
    onLost: () => {},
  });
  const source = { files, model: "model_policy.onnx" };
  const input = { source, storage: "none", executionProvider, maxPositions: 64, cache: "halving" } as const;
  return { served, loaded: await served.load(input, { signal, report: () => {} }) };
}

describe("a served model with cache policies", () => {
  it.each([true, false])("drops tokens of the prompt and says what is left (keep: %s)", async (keep) => {
    const { served, loaded } = await load("auto", async () => [halving]);
    expect(loaded).toMatchObject({ provider: "wasm", cacheKind: "ragged" });
    const sizes: number[] = [];
    const report = ({ cacheBytes }: GeneratedToken) =>
      void sizes.push(cacheBytes / loaded.cacheBytesPerToken);
    const prompt = [11, 20, 30, 42, 7, 9, 5, 1];
    await served.generate({ prompt, options: { maxNewTokens: 3 }, keep }, { signal, report });
    expect(sizes).toEqual([4, 5, 6]);
  });

  it("says what it lacks", async () => {
    await expect(load("webgpu", async () => [halving])).rejects.toThrow("found webgpu");
    await expect(load("auto")).rejects.toThrow("give serveRuntime readPolicies");
  });
});
