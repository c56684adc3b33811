import { describe, expect, it } from "vitest";
import { parsePolicies } from "./parse-policies.js";

describe("parsePolicies", () => {
  it("reads names, amounts and options", () => {
    const [first, second] = parsePolicies("keydiff:0.5, think:0.4:window=16");
    expect(first).toMatchObject({ name: "keydiff:0.5", action: "drop" });
    expect(second).toMatchObject({ name: "think:0.4:window=16", needs: { queries: 16 } });
    expect(parsePolicies("streaming:512t:sinks=2")[0]!.afterStep).toBeDefined();
    expect(parsePolicies("keydiff:0.5,int8")[1]).toEqual({
      name: "int8",
      action: "quantise",
      stores: "int8",
    });
  });

  it.each([
    ["", /expected .*keydiff.*, found nothing$/],
    ["h2o:0.5", /found h2o$/],
    ["keydiff", /^keydiff: expected a share of tokens to remove, .* found none$/],
    ["keydiff:1", /found 1$/],
    ["keydiff:-0.5", /found -0.5$/],
    ["keydiff:0t", /found 0t$/],
    ["streaming:0.5:sink=4", /^streaming:0.5:sink=4: expected options sinks, found sink$/],
    ["streaming:0.5:sinks=x", /expected sinks as a number from 0, found x$/],
    [
      "streaming:0.5:sinks=2.5",
      /^streaming:0.5:sinks=2.5: expected sinks as a whole number from 0, found 2.5$/,
    ],
    ["snapkv:0.5:window=0", /expected window as a whole number from 1, found 0$/],
    ["snapkv:0.5:kernel=4", /expected kernel as an odd number, found 4$/],
    ["pyramidkv:0.5:beta=0.5", /expected beta as a number from 1, found 0.5$/],
    ["fastgen:0.9:local=1.5", /expected local as a share from 0 to 1, found 1.5$/],
    ["streaming:0.5:0.7", /expected one amount/],
    ["int8:0.5", /^int8:0.5: expected no amount, found 0.5$/],
    ["int8,int4", /^cache policies: int8 and int4 both round numbers; name one of them$/],
    ["decoquant:4,int8", /decoquant:4 and int8 both round numbers/],
    [
      "keydiff:0.5,snapkv:0.5",
      /keydiff:0.5 and snapkv:0.5 both drop tokens after the prompt; name one of them$/,
    ],
  ])("refuses %j", (text, message) => {
    expect(() => parsePolicies(text)).toThrow(message);
  });

  it("takes policies of one's own", () => {
    const own = { name: "none", summary: "", create: () => ({ name: "none", action: "drop" as const }) };
    expect(parsePolicies("none", [own])).toEqual([{ name: "none", action: "drop" }]);
  });
});
