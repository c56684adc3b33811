import { type AttentionWeights, loadBlock } from "@kvfold/decoder";
import { emitProjections, type QueryBlock, windowContext, windowGraph } from "@kvfold/decoder/graph";
import { gaussians, Tensor } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { largestDifference } from "../../test/support/numbers.js";
import { emitColumnMoments } from "./emit-moments.js";
import { emitSensitivity } from "./emit-sensitivity.js";

const LENGTH = 13;

it("gives the same by blocks of queries as for all at once", async () => {
  const checkpoint = await syntheticCheckpoint({ config: { ...tinyLlama, num_key_value_heads: 2 } });
  const { config } = checkpoint;
  const weights = await loadBlock(checkpoint, 0);
  const { heads, headDim } = weights.attention;
  const ways: Readonly<Record<string, readonly QueryBlock[] | undefined>> = {
    whole: undefined,
    blocks: [
      { start: 0, end: 5 },
      { start: 5, end: 10 },
      { start: 10, end: LENGTH },
    ],
  };
  const graph = windowGraph(config, LENGTH, ({ e, input, output }) => {
    const { positions } = windowContext(e, { length: LENGTH });
    const projections = emitProjections(e, input("x"), weights.attention, positions);
    for (const [name, queryBlocks] of Object.entries(ways)) {
      const part = e.at(name);
      const context = { scoreBias: positions.scoreBias(weights.attention), queryBlocks };
      const values = emitSensitivity(part, projections, weights.attention, context);
      output(`${name}.queries`, values.sensitiveQueries, heads * headDim);
      emitColumnMoments(part, name, values.attentionWeights, heads);
    }
  });
  const session = await nodeProvider().createSession(graph);
  const zeros = (size: number) => new Tensor("float32", new Float32Array(size), [size]);
  const size = LENGTH * config.shape.hiddenSize;
  const x = Float32Array.from({ length: size }, gaussians(4));
  const feeds = Object.fromEntries(
    Object.keys(ways).flatMap((name) => [
      [`${name}.gram.so_far`, zeros(heads * heads)],
      [`${name}.sum.so_far`, zeros(heads)],
    ]),
  );
  // The same float32 sums in another order; queries hold the root of a difference of them, which may be of equal ones.
  const tolerances = { queries: 1e-5, gram: 1e-6, sum: 1e-6 };
  const names = Object.keys(tolerances);
  const results = await session.run(
    { ...feeds, x: new Tensor("float32", x, [1, LENGTH, size / LENGTH]) },
    Object.keys(ways).flatMap((way) => names.map((name) => `${way}.${name}`)),
  );
  await session.dispose();
  for (const [name, tolerance] of Object.entries(tolerances)) {
    const [whole, blocks] = ["whole", "blocks"].map((way) => results[`${way}.${name}`]!.data as Float32Array);
    const scale = whole!.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);
    expect(largestDifference(blocks!, whole!) / scale).toBeLessThan(tolerance);
    expect(scale).toBeGreaterThan(0);
  }
});

it("weighs queries by what a soft cap lets through of an error in a key", async () => {
  const checkpoint = await syntheticCheckpoint({ config: { ...tinyLlama, num_key_value_heads: 2 } });
  const { config } = checkpoint;
  const block = await loadBlock(checkpoint, 0);
  // Scores of a few units: the cap bends them, and lets through between nearly all and a few percent.
  const attention = { ...block.attention, scale: 2, softCap: 1.5 };
  const widths = {
    queries: attention.heads * attention.headDim,
    keys: kvWidth(attention),
    values: kvWidth(attention),
  };
  const graph = windowGraph(config, LENGTH, ({ e, input, output }) => {
    const { positions } = windowContext(e, { length: LENGTH });
    const projections = emitProjections(e, input("x"), attention, positions);
    const scoreBias = positions.scoreBias(attention);
    const values = emitSensitivity(e.at("all"), projections, attention, {
      scoreBias,
      queryBlocks: undefined,
    });
    output("sensitive", values.sensitiveQueries, widths.queries);
    for (const name of ["queries", "keys", "values"] as const) output(name, projections[name], widths[name]);
  });
  const session = await nodeProvider().createSession(graph);
  const { hiddenSize } = config.shape;
  const x = Float32Array.from({ length: LENGTH * hiddenSize }, gaussians(4));
  const names = ["sensitive", "queries", "keys", "values"];
  const results = await session.run({ x: new Tensor("float32", x, [1, LENGTH, hiddenSize]) }, names);
  await session.dispose();
  const [sensitive, queries, keys, values] = names.map((name) => results[name]!.data as Float32Array);
  const expected = sensitiveQueries({ queries: queries!, keys: keys!, values: values! }, attention);
  const scale = expected.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);
  // The root of a float32 difference, which is near zero where a query sees itself alone.
  expect(largestDifference(sensitive!, expected) / scale).toBeLessThan(1e-4);
});

const kvWidth = ({ kvHeads, headDim }: AttentionWeights): number => kvHeads * headDim;

/** `q_m sqrt(w_m)` by the definition: how far the output moves when a score does, by differences. */
function sensitiveQueries(
  { queries, keys, values }: Readonly<Record<"queries" | "keys" | "values", Float32Array>>,
  { heads, kvHeads, headDim, scale, softCap, output }: AttentionWeights,
): Float32Array {
  const rowOf = (data: Float32Array, position: number, head: number, count: number) =>
    data.subarray((position * count + head) * headDim, (position * count + head + 1) * headDim);
  const project = (vector: readonly number[], head: number) =>
    Array.from({ length: output.outputs }, (_, column) =>
      vector.reduce(
        (sum, value, i) => sum + value * output.weight[(head * headDim + i) * output.outputs + column]!,
        0,
      ),
    );
  const result = new Float32Array(queries.length);
  for (let m = 0; m < LENGTH; m++) {
    for (let head = 0; head < heads; head++) {
      const kvHead = Math.floor((head * kvHeads) / heads);
      const query = rowOf(queries, m, head, heads);
      const scores = Array.from({ length: m + 1 }, (_, n) =>
        rowOf(keys, n, kvHead, kvHeads).reduce((sum, value, i) => sum + scale * value * query[i]!, 0),
      );
      const outputOf = (moved: readonly number[]) => {
        const shares = moved.map((score) => Math.exp(softCap! * Math.tanh(score / softCap!)));
        const total = shares.reduce((sum, share) => sum + share, 0);
        const mixed = Array.from({ length: headDim }, (_, i) =>
          shares.reduce((sum, share, n) => sum + (share / total) * rowOf(values, n, kvHead, kvHeads)[i]!, 0),
        );
        return project(mixed, head);
      };
      const step = 1e-4;
      const weight = scores.reduce((sum, _, moved) => {
        const [up, down] = [step, -step].map((by) =>
          outputOf(scores.map((score, n) => (n === moved ? score + by : score))),
        );
        return sum + up!.reduce((square, value, i) => square + ((value - down![i]!) / (2 * step)) ** 2, 0);
      }, 0);
      for (const [i, value] of query.entries())
        result[(m * heads + head) * headDim + i] = value * Math.sqrt(weight);
    }
  }
  return result;
}
