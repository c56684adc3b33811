import { toBinary } from "@bufbuild/protobuf";
import { type GraphProto, ModelProtoSchema } from "onnx-buf";
import { decodeModel } from "./decode-model.js";
import type { GraphBuilder } from "./graph-builder.js";
import { growGraph } from "./grow-graph.js";
import { inlineWeights, type WeightStore } from "./weight-store.js";

export declare namespace extendModel {
  interface Options {
    /** Where weights go that are added; those of the model stay where they are. */
    readonly weights?: WeightStore;
  }
}

/**
 * A builder that adds to the graph of a model. Everything that the model holds is kept as it is, what `readModel` does not
 * show included, and its values can be used.
 *
 * @throws {OnnxError} `malformed-model` when the bytes are not an ONNX model.
 * @example
 * ```ts
 * import { createGraphBuilder, extendModel, readModel } from "@kvfold/onnx";
 *
 * const graph = createGraphBuilder({ graphName: "one", opsets: { "": 18 } });
 * graph.nodeWithOutputs("Neg", [graph.input("x", "float32", [2])], ["y"], { name: "neg" });
 * const more = extendModel(graph.toBytes());
 * more.output(more.node("Abs", ["y"], { name: "abs" }), "float32", [2]);
 * readModel(more.toBytes()).nodes.map(({ operator }) => operator); // => ["Neg", "Abs"]
 * ```
 */
export function extendModel(
  bytes: Uint8Array,
  { weights = inlineWeights }: extendModel.Options = {},
): GraphBuilder {
  const model = decodeModel("extendModel", bytes);
  const { graph } = model;
  const outermost = valuesOf(graph);
  const inner = innerGraphs(graph);
  const names = {
    graphName: graph.name,
    values: new Set([...outermost, ...inner.flatMap(valuesOf)]),
    nodes: new Set([graph, ...inner].flatMap(({ node }) => node.map(({ name }) => name))),
  };
  const known = new Set(outermost);
  return {
    ...growGraph(graph, names, weights, (name) => known.has(name)),
    toBytes: () => toBinary(ModelProtoSchema, model),
  };
}

const valuesOf = ({ input, initializer, node }: GraphProto): readonly string[] => [
  ...[...input, ...initializer].map(({ name }) => name),
  ...node.flatMap(({ output }) => output),
];

/** Graphs inside nodes, and inside theirs. */
const innerGraphs = ({ node }: GraphProto): readonly GraphProto[] =>
  node
    .flatMap(({ attribute }) =>
      attribute.flatMap(({ g, graphs }) => (g === undefined ? graphs : [g, ...graphs])),
    )
    .flatMap((graph) => [graph, ...innerGraphs(graph)]);
