import { type HeadChange, type Policy, parsePolicies } from "@kvfold/policies";
import { createCausalLM, type ModelSource, type Session } from "@kvfold/runtime";
import { beforeAll, describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "./reference/synthetic-checkpoint.js";
import { exportModel, withModel } from "./support/export-model.js";

const prompt = Array.from({ length: 41 }, (_, index) => (index * index * 7 + 3) % 61);
/** Two KV heads, each read by two query heads. */
const config = { ...tinyLlama, num_key_value_heads: 2 };

let model: ModelSource;
beforeAll(async () => {
  model = await exportModel(await syntheticCheckpoint({ config }), { form: "policy", maxPositions: 128 });
});

describe("steps under policies", () => {
  it("sum nothing where no sums are asked for", () =>
    withModel(model, async (session) => {
      const shapes: (readonly number[])[] = [];
      const run: Session["run"] = async (feeds, fetches) => {
        const names = Object.keys(fetches ?? {});
        const results = await session.run(feeds, [...names, "attention_sums.1"]);
        shapes.push(results["attention_sums.1"]!.dims);
        return results;
      };
      const state = createCausalLM({ ...session, run }).createState({ cache: parsePolicies("tova:20t") });
      await state.prefill(prompt);
      await state.decode(5);
      expect(shapes).toEqual([
        [1, 4, 1],
        [1, 4, 1],
      ]);
    }));

  it("go on alike whether a policy names what goes or what stays", () =>
    withModel(model, async (session) => {
      const lm = createCausalLM(session);
      const logitsAfter = async (change: HeadChange) => {
        const one: Policy = { name: "some", action: "drop", afterPrefill: () => [change, undefined] };
        const state = lm.createState({ cache: [one] });
        await state.prefill(prompt);
        expect([state.heldTokens[0], state.settled]).toEqual([[39, 41], 41]);
        return state.decode(5);
      };
      const dropped = Int32Array.of(4, 17);
      const kept = Int32Array.from(prompt.keys()).filter((index) => !dropped.includes(index));
      expect(await logitsAfter({ dropped })).toEqual(await logitsAfter({ kept }));
    }));
});
