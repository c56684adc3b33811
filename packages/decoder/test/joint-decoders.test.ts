import { createCausalLM } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import type { Checkpoint } from "../src/index.js";
import type { AttentionWeights } from "../src/model/decoder-weights.js";
import { exportModel, withModel } from "./support/export-model.js";
import { familyNames, openFamily, readReference } from "./support/families.js";
import { GOLDEN_TOLERANCE, goldenError, MAX_POSITIONS, TURNS_ANEW } from "./support/golden-logits.js";
import { withJointLatent } from "./support/joint-layers.js";

const cases = familyNames.flatMap((name) =>
  (["standard", "delta", "policy"] as const).map((form) => [name, form] as const),
);

describe("a decoder with joint latents of full rank computes what Hugging Face transformers does", () => {
  it.each(cases)("%s, %s graph", async (name, form) => {
    const checkpoint = await openFamily(name);
    const model = await exportModel(checkpoint, { form, maxPositions: MAX_POSITIONS, fold });
    const { sequences } = readReference(name);
    await withModel(model, async (session) => {
      const decoder = createCausalLM(session);
      for (const sequence of sequences)
        expect(goldenError((await decoder.forward(sequence.ids)).data, sequence)).toBeLessThan(
          GOLDEN_TOLERANCE,
        );
      if (TURNS_ANEW.includes(name)) return;
      const { ids, last } = sequences[0]!;
      const first = isSwitched(checkpoint) ? ids.length - last.length : 5;
      const state = decoder.createState();
      await state.prefill(ids.slice(0, first));
      const steps: Float32Array[] = [];
      for (const id of ids.slice(first)) steps.push(await state.decode(id));
      const logits = steps.slice(-last.length).flatMap((step) => [...step]);
      expect(goldenError(Float32Array.from(logits), sequences[0]!)).toBeLessThan(GOLDEN_TOLERANCE);
      state.dispose();
    });
  });
});

/** Chunks of several sizes, where keys can be turned before they are encoded. */
function fold(attention: AttentionWeights): AttentionWeights {
  const { rope, headNorm, kvHeads } = attention;
  const changes = rope?.ropeType === "dynamic" || rope?.ropeType === "longrope";
  const isWhole = changes || headNorm === "after-rotation";
  const pairs = (rope?.rotaryDim ?? 0) / 2;
  const chunks = Array.from({ length: pairs }, (_, pair) => (isWhole ? 1 : 2 ** Math.min(pair, 4)));
  return withJointLatent(attention, { span: kvHeads, chunks });
}

/** Whether a long text is turned by other tables than its beginning was. */
const isSwitched = ({ config }: Checkpoint): boolean =>
  config.blocks.some(({ attention }) => attention.rope?.ropeType === "longrope");
