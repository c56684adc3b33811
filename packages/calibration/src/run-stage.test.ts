import { createGraphBuilder, float32Value, type GraphBuilder, int64Value } from "@kvfold/onnx";
import type { Session } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { memoryHiddenStates } from "./hidden-states.js";
import { runStage, streamFeeds, tokenFeeds } from "./run-stage.js";
import { shiftOf, soFar } from "./running-totals.js";
import type { StageReference, StageShare } from "./stage-reference.js";
import type { StageResult } from "./stage-result.js";

/** Runs `use` with a session over a graph of opset 18. */
async function withGraph<T>(
  build: (graph: GraphBuilder) => void,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const graph = createGraphBuilder({ graphName: "stage", opsets: { "": 18 } });
  build(graph);
  const session = await nodeProvider().createSession({ bytes: graph.toBytes() });
  try {
    return await use(session);
  } finally {
    await session.dispose();
  }
}

/** `hidden_in [1, 2, 2]` to its double, and the moments of its rows under the name `rows`. */
function doubleAndMeasure(graph: GraphBuilder): void {
  const x = graph.input("hidden_in", "float32", [1, 2, 2]);
  const two = graph.weight("two", float32Value([1], Float32Array.of(2)));
  graph.nodeWithOutputs("Mul", [x, two], ["hidden_out"], { name: "double" });
  const rows = graph.node("Reshape", [x, graph.int64([-1, 2])], { name: "rows" });
  graph.nodeWithOutputs("Gemm", [rows, rows], ["rows.gram"], { name: "gram", attributes: { transA: 1 } });
  const axes = graph.constant("axes", int64Value([0]));
  graph.nodeWithOutputs("ReduceSum", [rows, axes], ["rows.sum"], {
    name: "sum",
    attributes: { keepdims: 0 },
  });
  graph.output("hidden_out", "float32", [1, 2, 2]);
  graph.output("rows.gram", "float32", [2, 2]);
  graph.output("rows.sum", "float32", [2]);
}

/** The moments `rows` and the cross moment with their first column, `first`, about the first row of the first window. */
function measureAboutFirstRow(graph: GraphBuilder): void {
  const x = graph.input("hidden_in", "float32", [1, 2, 2]);
  const axes = graph.constant("axes", int64Value([0]));
  const pick = (value: string, name: string, axis: number) =>
    graph.node("Slice", [value, ...[0, 1, axis].map((number) => graph.int64([number]))], { name });
  const shifted = (rows: string, name: string, width: number) => {
    const before = graph.input(soFar(shiftOf(name)), "float32", [width]);
    const first = graph.node("Reshape", [pick(rows, `${name}/first`, 0), graph.int64([-1])], {
      name: `${name}/flat`,
    });
    const isFirst = graph.node("IsNaN", [before], { name: `${name}/is_first` });
    graph.nodeWithOutputs("Where", [isFirst, first, before], [shiftOf(name)], { name: `${name}/shift` });
    graph.output(shiftOf(name), "float32", [width]);
    const centred = graph.node("Sub", [rows, shiftOf(name)], { name: `${name}/centred` });
    graph.nodeWithOutputs("ReduceSum", [centred, axes], [`${name}.sum`], {
      name: `${name}/sum`,
      attributes: { keepdims: 0 },
    });
    graph.output(`${name}.sum`, "float32", [width]);
    return centred;
  };
  const flat = graph.node("Reshape", [x, graph.int64([-1, 2])], { name: "flat" });
  const rows = shifted(flat, "rows", 2);
  const column = shifted(pick(flat, "column", 1), "first", 1);
  const product = (name: string, other: string) =>
    graph.nodeWithOutputs("Gemm", [rows, other], [name], { name, attributes: { transA: 1 } });
  product("rows.gram", rows);
  product("first.cross", column);
  graph.output("rows.gram", "float32", [2, 2]);
  graph.output("first.cross", "float32", [2, 1]);
}

async function stream(windows: readonly (readonly number[])[]) {
  const states = await memoryHiddenStates(windows.length, 4);
  for (const [index, values] of windows.entries()) await states.write(index, Float32Array.from(values));
  return states;
}

const two: readonly (readonly number[])[] = [
  [1, 2, 3, 4], // rows (1, 2) and (3, 4)
  [0, -1, 5, 0], // rows (0, -1) and (5, 0)
];

/** As if another process had summed the same. */
const sumOfTwo = ({ moments, crosses }: StageResult): StageResult => {
  const twice = (values: Float64Array) => values.map((value) => 2 * value);
  const { rows } = moments;
  return {
    moments: { rows: { ...rows!, count: 2 * rows!.count, sum: twice(rows!.sum), gram: twice(rows!.gram) } },
    crosses: Object.fromEntries(
      Object.entries(crosses).map(([name, { cross, sum }]) => [
        name,
        { cross: twice(cross), sum: twice(sum) },
      ]),
    ),
  };
};

describe("runStage", () => {
  it("adds up moments over windows, and sends hidden states on", async () => {
    const states = await stream(two);
    const seen: number[] = [];
    const { moments } = await withGraph(doubleAndMeasure, (session) =>
      runStage({
        session,
        windows: 2,
        length: 2,
        feeds: streamFeeds({ hidden_in: states }, 2),
        outputs: { hidden_out: states },
        moments: [{ name: "rows", size: 2 }],
        onWindow: (index) => seen.push(index),
      }),
    );
    const sum = Float64Array.of(1 + 3 + 0 + 5, 2 + 4 - 1 + 0);
    // Σ x², Σ xy; Σ xy, Σ y²
    const gram = Float64Array.of(1 + 9 + 0 + 25, 2 + 12 + 0 + 0, 2 + 12 + 0 + 0, 4 + 16 + 1 + 0);
    expect(moments).toEqual({ rows: { width: 2, count: 4, sum, gram } });
    expect([...(await states.read(0))]).toEqual([2, 4, 6, 8]);
    expect([...(await states.read(1))]).toEqual([0, -2, 10, 0]);
    expect(seen).toEqual([0, 1]);
  });

  it("puts shifts back that the graph takes its sums about", async () => {
    const states = await stream(two);
    const { moments, crosses } = await withGraph(measureAboutFirstRow, (session) =>
      runStage({
        session,
        windows: 2,
        length: 2,
        feeds: streamFeeds({ hidden_in: states }, 2),
        moments: [{ name: "rows", size: 2 }],
        crosses: [{ name: "first", size: 1, rows: "rows" }],
      }),
    );
    const sum = Float64Array.of(1 + 3 + 0 + 5, 2 + 4 - 1 + 0);
    const gram = Float64Array.of(1 + 9 + 0 + 25, 2 + 12 + 0 + 0, 2 + 12 + 0 + 0, 4 + 16 + 1 + 0);
    expect(moments).toEqual({ rows: { width: 2, count: 4, sum, gram } });
    expect(crosses).toEqual({ first: { cross: Float64Array.of(gram[0]!, gram[1]!), sum: sum.slice(0, 1) } });
  });

  it("sums the windows of a share about the reference that all agree on, and completes them", async () => {
    const states = await stream(two);
    const run = (windows: number, share?: StageShare) =>
      withGraph(measureAboutFirstRow, (session) =>
        runStage({
          session,
          windows,
          length: 2,
          feeds: streamFeeds({ hidden_in: states }, 2),
          moments: [{ name: "rows", size: 2 }],
          crosses: [{ name: "first", size: 1, rows: "rows" }],
          share,
        }),
      );
    const sized = (shift: number[]) => ({ shift, exponents: shift.map(() => 3) });
    // Not what this process finds: another one has the first window.
    const reference: StageReference = { rows: sized([5, 6]), first: sized([7]) };
    const shared = await run(2, { agree: async () => reference, complete: async (own) => own });
    expect(shared).toEqual(await run(2));
    let found: StageReference | undefined;
    const agree: StageShare["agree"] = async (find) => {
      found = await find();
      return found;
    };
    const halves = { agree, complete: async (own: StageResult) => sumOfTwo(own) };
    const { rows } = (await run(1, halves)).moments;
    expect(found!.rows!.shift).toEqual([1, 2]);
    expect(rows).toMatchObject({ count: 4, sum: Float64Array.of(8, 12) });
  });

  it("leaves hidden states alone where none are wanted", async () => {
    const states = await stream(two);
    const result = await withGraph(doubleAndMeasure, (session) =>
      runStage({ session, windows: 2, length: 2, feeds: streamFeeds({ hidden_in: states }, 2) }),
    );
    expect(result).toEqual({ moments: {}, crosses: {} });
    expect([...(await states.read(0))]).toEqual(two[0]);
  });

  it("sums in float64: a large window does not swallow a small one", async () => {
    // 2^24 + 1 is no float32.
    const states = await stream([
      [4096, 0, 0, 0],
      [1, 0, 0, 0],
    ]);
    const { moments } = await withGraph(doubleAndMeasure, (session) =>
      runStage({
        session,
        windows: 2,
        length: 2,
        feeds: streamFeeds({ hidden_in: states }, 2),
        moments: [{ name: "rows", size: 2 }],
      }),
    );
    expect(moments.rows!.gram[0]).toBe(2 ** 24 + 1);
  });

  it("stops between two windows when it is aborted", async () => {
    const states = await stream(two);
    const controller = new AbortController();
    const seen: number[] = [];
    const running = withGraph(doubleAndMeasure, (session) =>
      runStage({
        session,
        windows: 2,
        length: 2,
        feeds: streamFeeds({ hidden_in: states }, 2),
        signal: controller.signal,
        onWindow(index) {
          seen.push(index);
          controller.abort();
        },
      }),
    );
    await expect(running).rejects.toThrow(expect.objectContaining({ code: "aborted" }));
    expect(seen).toEqual([0]);
  });
});

describe("streamFeeds", () => {
  it("feeds a window of every stream as float32 [1, S, D]", async () => {
    const [a, b] = [await stream(two), await stream(two)];
    const feeds = await streamFeeds({ a, b }, 2)(1);
    expect(Object.keys(feeds)).toEqual(["a", "b"]);
    expect(feeds.b).toMatchObject({ type: "float32", dims: [1, 2, 2], data: Float32Array.from(two[1]!) });
  });
});

describe("tokenFeeds", () => {
  it("feeds a window of tokens as int64 [1, S]", async () => {
    const { input_ids: ids } = await tokenFeeds([Int32Array.of(1, 2), Int32Array.of(3, 4)])(1);
    expect(ids).toMatchObject({ type: "int64", dims: [1, 2], data: BigInt64Array.of(3n, 4n) });
  });
});
