import { createGraphBuilder, readModel } from "@kvfold/onnx";
import { gaussians } from "@kvfold/runtime";
import * as node from "onnxruntime-node";
import * as web from "onnxruntime-web";
import { describe, expect, it } from "vitest";
import { dequantise } from "../../test/reference/four-bit.js";
import { quantiseRows } from "../quantisation/four-bit-blocks.js";
import { emitQuantisedProduct } from "./emit-quantised-product.js";
import { createEmitter, OPSETS } from "./emitter.js";

interface Product {
  readonly inputs: number;
  readonly outputs: number;
  /** `[outputs, inputs]`. */
  readonly rows: Float32Array;
}

/** Tokens that go through a product. */
const TOKENS = 3;

const gaussian = (count: number, seed: number): Float32Array => {
  const next = gaussians(seed);
  return Float32Array.from({ length: count }, () => next());
};

const randomProduct = (inputs: number, outputs: number): Product => ({
  inputs,
  outputs,
  rows: gaussian(inputs * outputs, 1),
});

/** `y [1, S, outputs] = x [1, S, inputs] rows^T`, four bits to a weight. */
function buildModel(product: Product): Uint8Array {
  const graph = createGraphBuilder({ graphName: "product", opsets: OPSETS });
  const x = graph.input("x", "float32", ["batch_size", "sequence_length", product.inputs]);
  const y = emitQuantisedProduct(createEmitter(graph, { floatType: "float32", path: "/proj" }), x, {
    ...product,
    rows: () => product.rows,
  });
  graph.output(y, "float32", ["batch_size", "sequence_length", product.outputs]);
  return graph.toBytes();
}

function multiplyDequantised(x: Float32Array, { inputs, outputs, rows }: Product): Float64Array {
  const weights = dequantise(quantiseRows(rows, outputs, inputs), outputs, inputs);
  const y = new Float64Array(TOKENS * outputs);
  for (let token = 0; token < TOKENS; token++) {
    for (let output = 0; output < outputs; output++) {
      for (let input = 0; input < inputs; input++) {
        y[token * outputs + output]! += x[token * inputs + input]! * weights[output * inputs + input]!;
      }
    }
  }
  return y;
}

// In Node, onnxruntime-web runs the WebAssembly that browsers run.
describe.each([
  ["onnxruntime-node", node],
  ["onnxruntime-web on WebAssembly", web],
] as const)("a product in four bits under %s", (_, ort) => {
  it.each([
    [32, 8],
    [256, 96],
    [56, 32],
    [64, 1],
    [7, 3],
    [33, 17],
    [1, 1],
    [100, 5],
  ])("of %i inputs and %i outputs is that of the dequantised weights", async (inputs, outputs) => {
    const product = randomProduct(inputs, outputs);
    const x = gaussian(TOKENS * inputs, 2).map((value) => value / Math.sqrt(inputs));
    const session = await ort.InferenceSession.create(buildModel(product));
    const { "/proj/MatMul_Q4/output_0": y } = await session.run({
      x: new ort.Tensor("float32", x, [1, TOKENS, inputs]),
    });
    await session.release();
    const expected = multiplyDequantised(x, product);
    expect(y!.dims).toEqual([1, TOKENS, outputs]);
    for (const [index, value] of (y!.data as Float32Array).entries()) {
      // Float32 sums that come to about 1 in up to 256 steps, each rounded by 6e-8.
      expect(Math.abs(value - expected[index]!)).toBeLessThan(1e-5);
    }
  });
});

it("has the names and shapes that ONNX Runtime's own quantiser gives", () => {
  const { nodes, initializers } = readModel(buildModel(randomProduct(100, 5)));
  expect(nodes).toEqual([
    expect.objectContaining({
      operator: "MatMulNBits",
      domain: "com.microsoft",
      name: "/proj/MatMul_Q4",
      inputs: ["x", "proj.MatMul.weight_Q4", "proj.MatMul.weight_scales"],
      attributes: { K: 100, N: 5, bits: 4, block_size: 32 },
    }),
  ]);
  expect(initializers.get("proj.MatMul.weight_Q4")).toMatchObject({ type: "uint8", dims: [5, 4, 16] });
  expect(initializers.get("proj.MatMul.weight_scales")).toMatchObject({ type: "float32", dims: [20] });
});
