import { describe, expect, it } from "vitest";
import { storedAttention } from "./attention-rows.js";
import { profileHeads, type TokenClass } from "./fast-gen.js";

const weights = Float32Array.from(
  [
    [1, 0, 0, 0],
    [0.5, 0.5, 0, 0],
    [0.2, 0.2, 0.6, 0],
    [0.1, 0.1, 0.1, 0.7],
  ].flat(),
);
const attention = storedAttention({ weights, kvHeads: 1, heads: 1, queries: 4, tokens: 4 });
const classes: TokenClass[] = ["special", "other", "punctuation", "other"];

describe("profileHeads", () => {
  // Of all attention the tokens get .45, .2, .175 and .175. A frequent token is one of four, two are local.
  it.each([
    [0.4, "special", 0.45, [0]],
    [0.6, "punctuation", 0.625, [0, 2]],
    [0.8, "frequent", 0.825, [0, 1, 2]],
    [0.9, "local", 1, [0, 1, 2, 3]],
  ] as const)("recovers a share of %f with the policy %s", (recover, policy, recovered, kept) => {
    const [profile] = profileHeads({ attention, classes, recover, frequent: 0.25, local: 0.5, sinks: 0 });
    expect(profile!.policy).toBe(policy);
    expect(profile!.recovered).toBeCloseTo(recovered, 6);
    expect(Array.from(profile!.kept)).toEqual(kept);
  });

  it("counts for local tokens what their own queries paid them", () => {
    // Without frequent tokens, token 1 is local to the queries 1 and 2 (.5 and .2 of 4), token 3 to its own.
    const options = { attention, classes, frequent: 0, local: 0.5, sinks: 0 };
    const [local] = profileHeads({ ...options, recover: 0.97 });
    expect(local!.policy).toBe("local");
    expect(local!.recovered).toBeCloseTo(0.975, 6);
    expect(Array.from(local!.kept)).toEqual([0, 2, 3]);
    const [full] = profileHeads({ ...options, recover: 0.98 });
    expect([full!.policy, Array.from(full!.kept)]).toEqual(["full", [0, 1, 2, 3]]);
  });

  it("adds the query heads of a group, and profiles KV heads apart", () => {
    const first = [1, 0, 1, 0];
    const second = [1, 0, 0, 1];
    const both = storedAttention({
      weights: Float32Array.from([...first, ...second, ...second, ...second]),
      kvHeads: 2,
      heads: 4,
      queries: 2,
      tokens: 2,
    });
    const profiles = profileHeads({
      attention: both,
      classes: ["special", "other"],
      recover: 0.7,
      frequent: 0,
      local: 0,
      sinks: 0,
    });
    expect(profiles.map(({ policy }) => policy)).toEqual(["special", "full"]);
    expect(profiles[0]!.recovered).toBeCloseTo(0.75, 6);
  });

  it("refuses classes for other tokens", () => {
    expect(() => profileHeads({ attention, classes: ["other"] })).toThrow(
      "profileHeads: expected a class for each of 4 tokens, found 1",
    );
  });
});
