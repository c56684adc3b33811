import { type CausalLM, createCausalLM, type ModelSource, type SessionProvider } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import * as ort from "onnxruntime-web";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { exportModel } from "../../decoder/test/support/export-model.js";
import { webProvider } from "../src/index.js";

const prompt = [11, 20, 30, 42, 7, 9, 5, 1];

type Policies = NonNullable<CausalLM.CacheOptions["cache"]>;

/** Every second token of the prompt goes. */
const halving: Policies[number] = {
  name: "halving",
  action: "drop",
  afterPrefill: ({ heads }) => heads.map(() => ({ kept: Int32Array.of(0, 2, 4, 6) })),
};

async function logits(provider: SessionProvider, source: ModelSource, cache: Policies): Promise<number[]> {
  const session = await provider.createSession(source);
  const state = createCausalLM(session).createState({ cache });
  const found = [...(await state.prefill(prompt))];
  for (const id of [3, 4]) found.push(...(await state.decode(id)));
  await session.dispose();
  return found;
}

// In Node, onnxruntime-web runs the WebAssembly that browsers run.
describe("a quantised cache on WebAssembly", () => {
  it.each(["int8", "int4"] as const)("gives what it does in Node, with a policy: %s", async (form) => {
    const source = await exportModel(await syntheticCheckpoint({ config: tinyLlama }), { form });
    const policies: Policies = [halving, { name: form, action: "quantise", stores: form }];
    const expected = await logits(nodeProvider(), source, policies);
    const found = await logits(webProvider(ort), source, policies);
    const largest = Math.max(...expected.map(Math.abs));
    const error = Math.max(...found.map((value, index) => Math.abs(value - expected[index]!)));
    // Integers are the same; sums of float32 are in another order, by which a code may now and then be another.
    expect(error / largest).toBeLessThan(1e-3);
  });
});
