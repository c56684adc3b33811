/** The page's fold on Node's ONNX Runtime, of a Llama so small that it takes no time. */
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { foldFiles } from "../src/fold/fold-files.js";
import { POSITIONS, silent, tinyRequest } from "./tiny-request.js";

describe("foldFiles", () => {
  it("spreads moments of rotated keys over the model's context, beyond the windows", async () => {
    const { plan, energy } = await foldFiles(await tinyRequest("latent"), nodeProvider(), silent);
    expect(plan).toMatchObject({ method: "latent", context: POSITIONS });
    expect(energy).toHaveLength(2);
    expect(energy[0]).not.toHaveProperty("lost");
  });

  it("measures what latents lose, beside the energy of rotated keys and of values", async () => {
    const { energy } = await foldFiles(await tinyRequest("anchored"), nodeProvider(), silent);
    expect(energy).toHaveLength(2);
    for (const { keys, values, lost } of energy) {
      for (const [index, apart] of lost!.apart.entries())
        expect(apart).toBeCloseTo(1 - (keys[index]! + values[index]!) / 2, 12);
      const [eighth] = lost!.apart;
      expect(lost!.joint[0]!).toBeLessThan(eighth!);
      expect(lost!.unturned![0]!).toBeLessThan(lost!.joint[0]!);
      // Keys and values, 64 numbers each, are functions of the same 32.
      expect(lost!.unturned![1]).toBeCloseTo(0, 6);
    }
  });
});
