/** Gradient descent on an ONNX graph of your own: `node examples/differentiate.mjs` prints the loss of each step. */
import { differentiate } from "@kvfold/autodiff";
import { createGraphBuilder, float32Value } from "@kvfold/onnx";
import * as ort from "onnxruntime-node";

// loss = Σ (w - target)²; any .onnx file does as well: `await readFile("model.onnx")`.
const graph = createGraphBuilder({ graphName: "distance", opsets: { "": 18 } });
const target = graph.weight("target", float32Value([3], Float32Array.of(1, 2, 3)));
const difference = graph.node("Sub", [graph.input("w", "float32", [3]), target], { name: "difference" });
const square = graph.node("Mul", [difference, difference], { name: "square" });
graph.nodeWithOutputs("ReduceSum", [square], ["loss"], { name: "sum", attributes: { keepdims: 0 } });
graph.output("loss", "float32", []);

const session = await ort.InferenceSession.create(
  differentiate(graph.toBytes(), { outputs: ["loss"], inputs: ["w"] }),
);
const w = new Float32Array(3);
for (let step = 0; step < 5; step++) {
  const { loss, "grad.w": gradient } = await session.run({ w: new ort.Tensor("float32", w, [3]) });
  console.log(loss.data[0]);
  for (const [index, slope] of gradient.data.entries()) w[index] -= slope / 4;
}
