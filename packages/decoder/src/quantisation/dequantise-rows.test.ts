import { createGraphBuilder, float32Value, tensorValue } from "@kvfold/onnx";
import { createRandom } from "@kvfold/runtime";
import * as ort from "onnxruntime-node";
import { expect, it } from "vitest";
import { OPSETS } from "../graph/emitter.js";
import { dequantiseRows } from "./dequantise-rows.js";

const sizes = { rows: 5, columns: 64 };

function randomParts(bits: number, blockSize: number) {
  const random = createRandom(bits + blockSize);
  const bytes = (count: number) => Uint8Array.from({ length: count }, () => Math.floor(random() * 256));
  const blocks = sizes.columns / blockSize;
  const scales = Float32Array.from({ length: sizes.rows * blocks }, () => random() + 0.5);
  return {
    codes: bytes((sizes.rows * sizes.columns * bits) / 8),
    zeros: bytes(sizes.rows * Math.ceil((blocks * bits) / 8)),
    scales,
    blocks,
  };
}

/** What ONNX Runtime multiplies the identity by: the transpose of the rows. */
async function multiplied(
  parts: ReturnType<typeof randomParts>,
  bits: number,
  blockSize: number,
  hasZeros: boolean,
): Promise<Float32Array> {
  const { rows, columns } = sizes;
  const { codes, scales, zeros, blocks } = parts;
  const graph = createGraphBuilder({ graphName: "product", opsets: OPSETS });
  const x = graph.input("x", "float32", [columns, columns]);
  const inputs = [
    x,
    graph.weight("codes", tensorValue("uint8", [rows, blocks, (blockSize * bits) / 8], codes)),
    graph.weight("scales", float32Value([rows * blocks], scales)),
    ...(hasZeros ? [graph.weight("zeros", tensorValue("uint8", [zeros.length], zeros))] : []),
  ];
  const attributes = { K: columns, N: rows, bits, block_size: blockSize };
  const y = graph.node("MatMulNBits", inputs, { name: "product", domain: "com.microsoft", attributes });
  graph.output(y, "float32", [columns, rows]);
  const session = await ort.InferenceSession.create(graph.toBytes());
  const identity = Float32Array.from({ length: columns ** 2 }, (_, i) => (i % (columns + 1) === 0 ? 1 : 0));
  const results = await session.run({ x: new ort.Tensor("float32", identity, [columns, columns]) });
  await session.release();
  return results[y]!.data as Float32Array;
}

it.each([
  [4, 16, true],
  [4, 16, false],
  [4, 32, true],
  [4, 64, true],
  [8, 32, true],
  [8, 32, false],
])("%i bits, blocks of %i, zero points %s: as ONNX Runtime", async (bits, blockSize, hasZeros) => {
  const parts = randomParts(bits, blockSize);
  const layout = { ...sizes, bits, blockSize };
  const found = dequantiseRows(layout, parts.codes, parts.scales, hasZeros ? parts.zeros : undefined);
  const expected = await multiplied(parts, bits, blockSize, hasZeros);
  const { rows, columns } = sizes;
  // One factor of each sum is 1 and the others are 0, so that products round once: 1e-4 of values up to 400.
  for (const [index, value] of found.entries())
    expect(value).toBeCloseTo(expected[(index % columns) * rows + Math.floor(index / columns)]!, 4);
});
