/**
 * Keys of a cache as rows `[1, heads, P, d]` against keys stored transposed `[1, heads, d, P]`, and against rows that each
 * query head reads in a product of its own: one query of each head against all cached tokens, softmax, and the average of
 * values, in milliseconds. ONNX Runtime for Node, and for browsers on
 * WebAssembly, which copies all inputs in at each run. All graphs run in turn; medians of the times, and of the ratios within
 * a round. Random numbers. The last line is JSON.
 * `node bench/key-layouts.mjs [--context 4096] [--repeats 25] [--threads 2] [--wasm-threads 1]`
 */
import { createGraphBuilder } from "@kvfold/onnx";
import * as node from "onnxruntime-node";
import * as web from "onnxruntime-web/wasm";
import { machine } from "./paths.mjs";
import { random } from "./random-layers.mjs";
import { median, option } from "./support.mjs";

const context = option("context", 4096);
const repeats = option("repeats", 25);
const threads = option("threads", 2);
web.env.wasm.numThreads = option("wasm-threads", 1);

/** Query heads, heads of the cache, numbers of a key and of a value. */
const shapes = [
  [8, 8, 64],
  [8, 4, 64],
  [9, 3, 64],
  [8, 1, 128],
  [8, 1, 256],
  [32, 8, 64],
  [32, 4, 128],
];
const layouts = ["rows", "columns", "rows apart"];
const runtimes = { cpu: [node, { intraOpNumThreads: threads }], wasm: [web, {}] };

function graphOf([heads, kvHeads, size], layout) {
  const graph = createGraphBuilder({ graphName: "attention", opsets: { "": 18 } });
  const keyDims = layout === "columns" ? [size, context] : [context, size];
  if (layout === "rows apart") return graphApart(graph, [heads, kvHeads, size]);
  graph.input("query", "float32", [1, kvHeads, heads / kvHeads, size]);
  graph.input("keys", "float32", [1, kvHeads, ...keyDims]);
  graph.input("values", "float32", [1, kvHeads, context, size]);
  const columns =
    layout === "columns"
      ? "keys"
      : graph.node("Transpose", ["keys"], { name: "/turned", attributes: { perm: [0, 1, 3, 2] } });
  const scores = graph.node("MatMul", ["query", columns], { name: "/scores" });
  const shares = graph.node("Softmax", [scores], { name: "/shares", attributes: { axis: -1 } });
  graph.nodeWithOutputs("MatMul", [shares, "values"], ["averages"], { name: "/averages" });
  graph.output("averages", "float32", [1, kvHeads, heads / kvHeads, size]);
  return graph.toBytes();
}

/** Each query head reads its cached head in products of one row. */
function graphApart(graph, [heads, kvHeads, size]) {
  const dims = [1, kvHeads, context, size];
  graph.input("query", "float32", [1, kvHeads, heads / kvHeads, size]);
  const [keys, values] = ["keys", "values"].map((name) =>
    graph.node("Unsqueeze", [graph.input(name, "float32", dims), graph.int64([2])], { name: `/${name}` }),
  );
  const query = graph.node("Unsqueeze", ["query", graph.int64([3])], { name: "/query" });
  const turned = graph.node("Transpose", [keys], { name: "/turned", attributes: { perm: [0, 1, 2, 4, 3] } });
  const scores = graph.node("MatMul", [query, turned], { name: "/scores" });
  const shares = graph.node("Softmax", [scores], { name: "/shares", attributes: { axis: -1 } });
  const averages = graph.node("MatMul", [shares, values], { name: "/apart" });
  graph.nodeWithOutputs("Squeeze", [averages, graph.int64([3])], ["averages"], { name: "/averages" });
  graph.output("averages", "float32", [1, kvHeads, heads / kvHeads, size]);
  return graph.toBytes();
}

async function openCase(runtime, shape, layout) {
  const [ort, options] = runtimes[runtime];
  const [heads, kvHeads, size] = shape;
  const session = await ort.InferenceSession.create(graphOf(shape, layout), options);
  const tensor = (dims) =>
    new ort.Tensor("float32", random(dims.reduce((product, dim) => product * dim)), dims);
  const keyDims = layout === "columns" ? [size, context] : [context, size];
  const feeds = {
    query: tensor([1, kvHeads, heads / kvHeads, size]),
    keys: tensor([1, kvHeads, ...keyDims]),
    values: tensor([1, kvHeads, context, size]),
  };
  return { runtime, shape, layout, session, feeds, times: [] };
}

/** The fastest of a few runs: threads of the graph before still spin when the first begins. */
async function time({ session, feeds }) {
  let fastest = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 3; run++) {
    const start = performance.now();
    await session.run(feeds);
    fastest = Math.min(fastest, performance.now() - start);
  }
  return fastest;
}

console.log(`${machine()}, ${threads} threads, ${context} cached tokens, ${repeats} repeats\n`);
console.log(
  "| runtime | query heads, heads, size | rows, ms | columns, ms | apart, ms | columns / rows | apart / rows |",
);
console.log("| --- | --- | ---: | ---: | ---: | ---: | ---: |");
const results = [];
for (const runtime of Object.keys(runtimes))
  for (const shape of shapes) {
    const cases = [];
    for (const layout of layouts) cases.push(await openCase(runtime, shape, layout));
    for (let round = -2; round < repeats; round++)
      for (const one of cases) {
        const taken = await time(one);
        if (round >= 0) one.times.push(taken);
      }
    const [rows, columns, apart] = cases.map(({ times }) => median(times));
    const toRows = ({ times }) => median(times.map((taken, round) => taken / cases[0].times[round]));
    const [ratio, apartRatio] = cases.slice(1).map(toRows);
    results.push({ runtime, shape, rows, columns, apart, ratio, apartRatio });
    const figures = [rows, columns, apart, ratio, apartRatio].map((value) => value.toFixed(2));
    console.log(`| ${runtime} | ${shape.join(", ")} | ${figures.join(" | ")} |`);
    for (const { session } of cases) await session.release();
  }
console.log(JSON.stringify({ context, threads, results }));
