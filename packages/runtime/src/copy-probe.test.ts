import { describe, expect, it } from "vitest";
import type { CausalLM } from "./causal-lm.js";
import { copyProbe } from "./copy-probe.js";

const VOCABULARY = Array.from({ length: 50 }, (_, index) => index + 3);

/** A model that knows nothing but the token `reach` places before the one it predicts. */
function copier(reach: number): Pick<CausalLM, "forward"> {
  return {
    forward: async (ids) => {
      const data = new Float32Array(ids.length * 64);
      for (let row = reach - 1; row < ids.length; row++) data[row * 64 + ids[row + 1 - reach]!] = 20;
      return { rows: ids.length, columns: 64, data };
    },
  };
}

const probe = (reach: number, options: Partial<Parameters<typeof copyProbe>[1]> = {}) =>
  copyProbe(copier(reach) as CausalLM, {
    vocabulary: VOCABULARY,
    distances: [16, 24],
    length: 16,
    sequences: 3,
    ...options,
  });

describe("copyProbe", () => {
  it("finds a model that copies at one distance only", async () => {
    const [near, far] = await probe(24);
    expect(far).toMatchObject({ distance: 24, accuracy: 1, tokens: 45 });
    // One of 64 logits is 20, so the miss is 63 e^-20.
    expect(far!.nll).toBeCloseTo(63 * Math.exp(-20), 12);
    expect(near!.accuracy).toBeLessThan(0.2);
    expect(near!.nll).toBeGreaterThan(10);
  });

  it("measures all models on the same sequences", async () => {
    expect(await probe(24, { seed: 5 })).toEqual(await probe(24, { seed: 5 }));
    expect(await probe(20, { seed: 5 })).not.toEqual(await probe(20, { seed: 6 }));
  });

  it("refuses distances that overlap what is repeated", async () => {
    await expect(probe(24, { distances: [8] })).rejects.toThrow(/found 8/);
  });

  it("stops when asked to", async () => {
    await expect(probe(24, { signal: { aborted: true } })).rejects.toMatchObject({ code: "aborted" });
  });
});
