import { describe, expect, it } from "vitest";
import { openFamily } from "../../../decoder/test/support/families.js";
import { planFold } from "./plan-fold.js";

const heal = async (family: string, options: Partial<planFold.Options> = {}) =>
  planFold((await openFamily(family)).config, { keep: "1/2", ...options });

describe("chooseHeal", () => {
  it("heals as the method says wherever a refit can aim", async () => {
    for (const family of ["opt", "phi", "gemma2", "olmo2"])
      expect(await heal(family)).toMatchObject({ heal: "both", notices: [] });
  });

  it("heals nothing where the stream itself is normalised, and says why", async () => {
    expect(await heal("opt-350m-like")).toMatchObject({
      heal: "none",
      notices: [
        "nothing is healed: OPT normalises the residual stream after each half of a block, and refits cannot aim through that",
      ],
    });
    expect(await heal("opt-350m-like", { method: "svd-w" })).toMatchObject({ heal: "none", notices: [] });
    expect(await heal("opt-350m-like", { heal: "none" })).toMatchObject({ heal: "none", notices: [] });
  });

  it("refuses to heal such a model when asked to", async () => {
    await expect(heal("opt-350m-like", { heal: "attention" })).rejects.toThrow(
      expect.objectContaining({
        code: "invalid-option",
        message:
          "heal attention: OPT normalises the residual stream after each half of a block, and refits cannot aim through that; leave it out, or choose heal none",
      }),
    );
  });
});
