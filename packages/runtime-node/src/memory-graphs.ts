import { createGraphBuilder, type GraphBuilder, tensorValue } from "@kvfold/onnx";

/** Types of numbers in caches and sums. */
export type FloatType = "float32" | "float16";

const floatBytes = (type: FloatType): number => (type === "float16" ? 2 : 4);

/** As many zeros as `shape [1]` says: `y`. */
export const zerosGraph = (type: FloatType): Uint8Array =>
  build("zeros", (graph) => {
    const zero = graph.constant("zero", tensorValue(type, [1], new Uint8Array(floatBytes(type))));
    graph.input("shape", "int64", [1]);
    graph.nodeWithOutputs("Expand", [zero, "shape"], ["y"], { name: "expand" });
    graph.output("y", type, ["n"]);
  });

/** The first `tokens [1]` of each head of `x [1, heads, T, size]`, with zeros after them as `pads [8]` says: `y`. */
export const resizeGraph = (type: FloatType): Uint8Array =>
  build("resize", (graph) => {
    graph.input("x", type, ["batch", "heads", "from", "size"]);
    graph.input("tokens", "int64", [1]);
    graph.input("pads", "int64", [8]);
    const kept = ["x", graph.int64([0]), "tokens", graph.int64([2])];
    graph.nodeWithOutputs("Slice", kept, ["kept"], { name: "slice" });
    graph.nodeWithOutputs("Pad", ["kept", "pads"], ["y"], { name: "pad" });
    graph.output("y", type, ["batch", "heads", "to", "size"]);
  });

/** The numbers `x [n]` as they are: `y`. */
export const copyGraph = (type: FloatType): Uint8Array =>
  build("copy", (graph) => {
    graph.input("x", type, ["n"]);
    graph.nodeWithOutputs("Identity", ["x"], ["y"], { name: "copy" });
    graph.output("y", type, ["n"]);
  });

/** Twice the numbers `x [n]`: `y`. The least that shows whether a device computes with this type. */
export const probeGraph = (type: FloatType): Uint8Array =>
  build("probe", (graph) => {
    graph.input("x", type, ["n"]);
    graph.nodeWithOutputs("Add", ["x", "x"], ["y"], { name: "add" });
    graph.output("y", type, ["n"]);
  });

function build(graphName: string, emit: (graph: GraphBuilder) => void): Uint8Array {
  const graph = createGraphBuilder({ graphName, opsets: { "": 21 } });
  emit(graph);
  return graph.toBytes();
}
