import { parsePolicies } from "@kvfold/policies";
import { expect, it } from "vitest";
import { cachePolicies, requireGraph } from "./cache-policies.js";

it("offers policies that there are, each with the graph for its bits", () => {
  for (const { cache, graph } of cachePolicies) {
    const stores = parsePolicies(cache).find((policy) => policy.stores !== undefined)?.stores;
    expect(graph).toBe(stores === undefined ? "model_policy.onnx" : `model_policy_${stores}.onnx`);
  }
});

it("says what a folder lacks", () => {
  const [policy] = cachePolicies;
  requireGraph(new Map([["onnx/model_policy.onnx", new Blob()]]), policy!);
  expect(() => requireGraph(new Map(), policy!)).toThrow("(onnx/model_policy.onnx); fold it again");
});
