import { expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "./reference/synthetic-checkpoint.js";
import { exportModel, modelLogits } from "./support/export-model.js";

it("dynamic scaling of heads of two numbers, whose one frequency never changes, is no scaling", async () => {
  const logitsOf = async (scaling: unknown) => {
    const config = { ...tinyLlama, head_dim: 2, max_position_embeddings: 4, rope_scaling: scaling };
    return modelLogits(await exportModel(await syntheticCheckpoint({ config })), [1, 2, 3, 4, 5, 6]);
  };
  const scaled = await logitsOf({ rope_type: "dynamic", factor: 2 });
  expect(scaled.every(Number.isFinite)).toBe(true);
  const plain = await exportModel(
    await syntheticCheckpoint({ config: { ...tinyLlama, head_dim: 2, max_position_embeddings: 8 } }),
  );
  const expected = await modelLogits(plain, [1, 2, 3, 4, 5, 6]);
  // Angles are products of float32 numbers here and float64 ones there.
  expect(Math.max(...scaled.map((value, index) => Math.abs(value - expected[index]!)))).toBeLessThan(1e-4);
});
