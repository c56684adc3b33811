import { createGraphBuilder, float32Value } from "@kvfold/onnx";

export const WEIGHTS_FILE = "model.onnx_data";

/** `y [N, 2] = x [N, 3] W`, and the external file that holds `W`. */
export function buildLinearModel(): { readonly bytes: Uint8Array; readonly weights: Uint8Array } {
  const value = float32Value([3, 2], Float32Array.of(1, 2, 3, 4, 5, 6));
  const store = () => ({ path: WEIGHTS_FILE, offset: 0, byteLength: value.bytes.byteLength });
  const graph = createGraphBuilder({ graphName: "linear", opsets: { "": 21 }, weights: { store } });
  graph.input("x", "float32", ["rows", 3]);
  graph.nodeWithOutputs("MatMul", ["x", graph.weight("w", value)], ["y"], { name: "product" });
  graph.output("y", "float32", ["rows", 2]);
  return { bytes: graph.toBytes(), weights: value.bytes };
}
