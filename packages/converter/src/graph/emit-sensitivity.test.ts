import { loadBlock } from "@kvfold/decoder";
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
    const { positions } = windowContext(e, { config, weights, length: LENGTH }, "plain");
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
