import { float, int64Value, tensorValue } from "@kvfold/onnx";
import { describe, expect, it } from "vitest";
import { scalar, table } from "./support/definitions.js";
import { type EmitCase, gradientErrors, type OperatorCase, toleranceOf } from "./support/operator-case.js";

const MICROSOFT = "com.microsoft";

/** Queries, keys and values of one text, as attention reads them. */
interface AttentionShape {
  readonly batch?: number;
  readonly length: number;
  readonly heads: number;
  readonly groups: number;
  readonly size: number;
  readonly window?: number;
  readonly softCap?: number;
}

const SCALE = 0.375;

const emitAttention =
  ({ batch = 1, length, heads, groups, window, softCap }: AttentionShape): EmitCase =>
  (graph, inputs) => {
    const int32 = (name: string, values: readonly number[], dims: readonly number[]) =>
      graph.weight(name, tensorValue("int32", dims, new Uint8Array(Int32Array.from(values).buffer)));
    const last = Array<number>(batch).fill(length - 1);
    const lengths = [int32("last", last, [batch]), int32("total", [length], [])];
    const outputs = ["y", "present_key", "present_value"];
    graph.nodeWithOutputs("GroupQueryAttention", [...inputs, "", "", ...lengths], outputs, {
      name: "node",
      domain: MICROSOFT,
      attributes: {
        num_heads: heads,
        kv_num_heads: groups,
        scale: float(SCALE),
        ...(window && { local_window_size: window }),
        ...(softCap && { softcap: float(softCap) }),
      },
    });
    return "y";
  };

/** `softmax(mask(scale q kᵀ)) v` with the heads of keys and values repeated. */
const defineAttention =
  ({ length, heads, groups, size, window = length, softCap }: AttentionShape): EmitCase =>
  (graph, [q, k, v], type) => {
    const readers = graph.int64(
      Array.from({ length: heads }, (_, head) => Math.floor((head * groups) / heads)),
    );
    const node = (operator: string, name: string, inputs: readonly string[], attributes = {}) =>
      graph.node(operator, inputs, { name, attributes });
    const split = (name: string, x: string, count: number) =>
      node(
        "Transpose",
        `${name}/heads`,
        [node("Reshape", `${name}/split`, [x, graph.int64([0, 0, count, size])])],
        {
          perm: [0, 2, 1, 3],
        },
      );
    const repeat = (name: string, x: string) =>
      node("Gather", `${name}/repeat`, [split(name, x, groups), readers], { axis: 1 });
    const keys = node("Transpose", "turned", [repeat("k", k!)], { perm: [0, 1, 3, 2] });
    const raw = node("MatMul", "scores", [split("q", q!, heads), keys]);
    const scaled = node("Mul", "scaled", [raw, scalar(graph, SCALE, type)]);
    const capped = () => {
      const bounded = node("Tanh", "tanh", [node("Div", "over", [scaled, scalar(graph, softCap!, type)])]);
      return node("Mul", "capped", [bounded, scalar(graph, softCap!, type)]);
    };
    const bias = Array.from({ length: length * length }, (_, index) => {
      const [query, key] = [Math.floor(index / length), index % length];
      return key <= query && key > query - window ? 0 : -1e30;
    });
    const scores = softCap === undefined ? scaled : capped();
    const masked = node("Add", "masked", [scores, table(graph, "bias", [length, length], bias, type)]);
    const shares = node("Softmax", "shares", [masked], { axis: -1 });
    const attended = node("MatMul", "attended", [shares, repeat("v", v!)]);
    const joined = node("Transpose", "joined", [attended], { perm: [0, 2, 1, 3] });
    return node("Reshape", "y", [joined, graph.int64([0, 0, heads * size])]);
  };

const attention = (name: string, shape: AttentionShape): OperatorCase => ({
  name,
  inputs: [shape.heads, shape.groups, shape.groups].map((count) => [
    shape.batch ?? 1,
    shape.length,
    count * shape.size,
  ]),
  range: [-2, 2],
  emit: emitAttention(shape),
  definition: defineAttention(shape),
});

/** Angles of positions 0, 1, 2 and two pairs of numbers. */
const angles = [0, 0, 1, 0.1, 2, 0.2];

/** Rotates pairs of numbers, of halves or neighbours, of two heads of four by the angles of positions 2, 0, 1. */
const rotary = (name: string, interleaved: number): OperatorCase => {
  const pairs =
    interleaved === 1
      ? [
          [0, 1],
          [2, 3],
        ]
      : [
          [0, 2],
          [1, 3],
        ];
  const positions = [2, 0, 1];
  return {
    name,
    inputs: [[1, 3, 8]],
    emit: (graph, [x], type) => {
      const tables = [
        graph.weight("positions", int64Value(positions, [1, 3])),
        table(graph, "cos", [3, 2], angles.map(Math.cos), type),
        table(graph, "sin", [3, 2], angles.map(Math.sin), type),
      ];
      return graph.node("RotaryEmbedding", [x!, ...tables], {
        name: "node",
        domain: MICROSOFT,
        attributes: { interleaved },
      });
    },
    // A product with the matrix of each position.
    definition: (graph, [x], type) => {
      const matrices = positions.flatMap((position) => {
        const matrix = Array<number>(64).fill(0);
        for (const head of [0, 4])
          for (const [pair, [a, b]] of pairs.entries()) {
            const angle = angles[2 * position + pair]!;
            const set = (row: number, column: number, value: number) => {
              matrix[8 * (head + row) + head + column] = Math.fround(value);
            };
            set(a!, a!, Math.cos(angle));
            set(a!, b!, Math.sin(angle));
            set(b!, a!, -Math.sin(angle));
            set(b!, b!, Math.cos(angle));
          }
        return matrix;
      });
      const rows = graph.node("Unsqueeze", [x!, graph.int64([2])], { name: "rows" });
      const turned = graph.node("MatMul", [rows, table(graph, "matrices", [3, 8, 8], matrices, type)], {
        name: "turned",
      });
      return graph.node("Squeeze", [turned, graph.int64([2])], { name: "y" });
    },
  };
};

const cases: readonly OperatorCase[] = [
  attention("one head", { length: 3, heads: 1, groups: 1, size: 8 }),
  attention("four heads that read two, two texts", { batch: 2, length: 3, heads: 4, groups: 2, size: 8 }),
  attention("a window", { length: 5, heads: 2, groups: 1, size: 8, window: 2 }),
  attention("a soft cap", { length: 3, heads: 1, groups: 1, size: 8, softCap: 1.5 }),
  rotary("rotation of halves", 0),
  rotary("rotation of neighbours", 1),
];

describe("gradients of attention are those of central differences of its definition", () => {
  it.each(cases)("$name", async (operatorCase) => {
    expect(Math.max(...(await gradientErrors(operatorCase)))).toBeLessThan(toleranceOf(operatorCase));
  });
});
