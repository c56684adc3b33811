import { emitSplitHeads, windowGraph } from "@kvfold/decoder/graph";
import { ropeParameters } from "@kvfold/rope";
import { gaussians, Tensor } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { largestDifference } from "../../test/support/numbers.js";
import { emitDistances } from "./emit-distances.js";
import { emitQueriesAtKeys } from "./emit-queries-at-keys.js";

const [LENGTH, HEADS, HEAD_DIM] = [13, 2, 8];
const queryBlocks = [
  { start: 0, end: 5 },
  { start: 5, end: 10 },
  { start: 10, end: LENGTH },
];
const random = gaussians(7);
const queries = Float32Array.from({ length: LENGTH * HEADS * HEAD_DIM }, random);
/** `w_mn`, at random; what lies ahead of a query is never read. */
const weights = Float32Array.from({ length: HEADS * LENGTH * LENGTH }, () => random() ** 2);
const weightOf = (head: number, m: number, n: number) => weights[(head * LENGTH + m) * LENGTH + n]!;

it.each([
  ["whole", 8],
  ["partial", 4],
])("is E[w qqᵀ] turned by each distance in turn, %s rotation", async (_, rotaryDim) => {
  const rope = ropeParameters({
    head_dim: HEAD_DIM,
    partial_rotary_factor: rotaryDim / HEAD_DIM,
    rope_theta: 100,
  });
  const { distances, moment } = await measure(rope);
  const expected = plainDistances();
  // Float32 sums of 13 numbers.
  expect(largestDifference(distances, expected.flat()) / Math.max(...expected.flat())).toBeLessThan(1e-6);
  for (let head = 0; head < HEADS; head++) {
    const size = HEAD_DIM ** 2;
    const reference = plainMoment(head, expected[head]!, rotaryDim);
    const actual = moment.subarray(head * size, (head + 1) * size);
    expect(largestDifference(actual, reference) / Math.max(...reference)).toBeLessThan(2e-6);
  }
});

async function measure(rope: ReturnType<typeof ropeParameters>) {
  const { config } = await syntheticCheckpoint({ config: tinyLlama });
  const graph = windowGraph(config, LENGTH, ({ e, input }) => {
    const shape = { heads: HEADS, size: HEAD_DIM };
    const pairs = queryBlocks.map(({ start, end }, index) =>
      e.float32s(`pairs.${index}`, [1, HEADS, end - start, end], blockOf(start, end)),
    );
    const distances = emitDistances(e.at("distances"), pairs, { heads: HEADS, length: LENGTH, queryBlocks });
    const meetings = {
      queries: emitSplitHeads(e, input("x", HEADS * HEAD_DIM), shape),
      weights: e.float32s("weights", [1, HEADS, LENGTH, 1], queryWeights()),
      distances,
    };
    const moment = emitQueriesAtKeys(e.at("metric"), meetings, { rope, headDim: HEAD_DIM }, LENGTH);
    for (const [name, value, dims] of [
      ["distances_out", distances, [1, HEADS, LENGTH]],
      ["moment_out", moment, [1, HEADS, HEAD_DIM, HEAD_DIM]],
    ] as const) {
      e.graph.nodeWithOutputs("Identity", [value], [name], { name: `/${name}/Identity` });
      e.graph.output(name, "float32", dims);
    }
  });
  const session = await nodeProvider().createSession(graph);
  const x = new Tensor("float32", queries, [1, LENGTH, HEADS * HEAD_DIM]);
  const results = await session.run({ x }, ["distances_out", "moment_out"]);
  await session.dispose();
  return {
    distances: results.distances_out!.data as Float32Array,
    moment: results.moment_out!.data as Float32Array,
  };
}

/** Weights of the queries of a block and the keys up to its end, zero ahead of the query. */
function blockOf(start: number, end: number): Float32Array {
  const rows = end - start;
  return Float32Array.from({ length: HEADS * rows * end }, (_, at) => {
    const [head, m, n] = [Math.floor(at / (rows * end)), start + (Math.floor(at / end) % rows), at % end];
    return n <= m ? weightOf(head, m, n) : 0;
  });
}

function queryWeights(): Float32Array {
  return Float32Array.from({ length: HEADS * LENGTH }, (_, at) => {
    const [head, m] = [Math.floor(at / LENGTH), at % LENGTH];
    let sum = 0;
    for (let n = 0; n <= m; n++) sum += weightOf(head, m, n);
    return sum;
  });
}

const plainDistances = (): number[][] =>
  Array.from({ length: HEADS }, (_, head) =>
    Array.from({ length: LENGTH }, (_unused, distance) => {
      let sum = 0;
      for (let m = distance; m < LENGTH; m++) sum += weightOf(head, m, m - distance);
      return sum;
    }),
  );

/** `sum_m w_m sum_D p(D) (q_m R_D)ᵀ (q_m R_D)`. */
function plainMoment(head: number, distances: readonly number[], rotaryDim: number): number[] {
  const total = distances.reduce((sum, value) => sum + value, 0);
  const result = Array.from({ length: HEAD_DIM ** 2 }, () => 0);
  const perQuery = queryWeights();
  for (let m = 0; m < LENGTH; m++) {
    const start = (m * HEADS + head) * HEAD_DIM;
    for (const [distance, share] of distances.entries()) {
      const turned = turn(queries.subarray(start, start + HEAD_DIM), distance, rotaryDim);
      for (let i = 0; i < HEAD_DIM; i++) {
        for (let j = 0; j < HEAD_DIM; j++)
          result[i * HEAD_DIM + j]! +=
            perQuery[head * LENGTH + m]! * (share / total) * turned[i]! * turned[j]!;
      }
    }
  }
  return result;
}

function turn(row: Float32Array, position: number, rotaryDim: number): number[] {
  const half = rotaryDim / 2;
  const result = Array.from(row);
  for (let j = 0; j < half; j++) {
    const angle = position * 100 ** ((-2 * j) / rotaryDim);
    result[j] = row[j]! * Math.cos(angle) - row[j + half]! * Math.sin(angle);
    result[j + half] = row[j]! * Math.sin(angle) + row[j + half]! * Math.cos(angle);
  }
  return result;
}
