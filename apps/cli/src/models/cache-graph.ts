import type { CacheBits } from "@kvfold/converter";
import { type CachePrecision, parsePolicies } from "@kvfold/policies";
import type { SessionProvider } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import type { ModelLocation } from "./locate-model.js";

/** What is done with a cache: nothing, what policies do, or that and fewer bits. */
export type CacheUse = "whole" | "policies" | CachePrecision;

/**
 * What lists of policies ask of a graph.
 *
 * @throws {CliError} `usage` for lists that ask for different ones.
 */
export function cacheUse(lists: readonly string[] = []): CacheUse {
  if (lists.length === 0) return "whole";
  const precisions = new Set(lists.map((list) => parsePolicies(list).find(({ stores }) => stores)?.stores));
  const [precision, ...others] = precisions;
  if (others.length === 0) return precision ?? "policies";
  throw new CliError(
    "usage",
    "lists of --cache run on one graph: give all of them the same bits, as keydiff:0.5,int8 snapkv:0.5,int8, or none",
  );
}

/** Bits of a cache that has a graph of its own. */
export function cacheBitsOf(use: CacheUse): readonly CacheBits[] {
  if (use === "int8") return [8];
  return use === "int4" ? [4] : [];
}

type Graphs = Pick<Extract<ModelLocation, { kind: "onnx" }>, "policyGraph" | "quantisedGraphs">;

/**
 * The graph that policies act on.
 *
 * @throws {CliError} `usage` where caches lie on a GPU; `unsupported-model` where the model has no such graph.
 */
export function requireCacheGraph(
  name: string,
  { policyGraph, quantisedGraphs }: Graphs,
  use: Exclude<CacheUse, "whole">,
  provider: Pick<SessionProvider, "graph">,
): string {
  if (provider.graph !== "delta")
    throw new CliError(
      "usage",
      "policies act on caches in the memory of the CPU; give --device cpu, or leave out --cache",
    );
  const graph = use === "policies" ? policyGraph : quantisedGraphs?.[use];
  if (graph !== undefined) return graph;
  throw new CliError(
    "unsupported-model",
    use === "policies" ? withoutPolicies(name) : withoutBits(name, use),
  );
}

const withoutPolicies = (name: string): string =>
  `${name} has no graph whose heads may keep different tokens (onnx/model_policy.onnx); add it with kvfold add-graphs, or leave out --cache`;

const withoutBits = (name: string, precision: CachePrecision): string =>
  `${name} has no graph for --cache ${precision} (onnx/model_policy_${precision}.onnx); add it with kvfold add-graphs --cache-bits ${precision.slice(3)}, or leave out ${precision}`;
