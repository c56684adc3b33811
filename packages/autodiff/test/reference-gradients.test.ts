import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { differentiate } from "../src/index.js";
import { blockGraph, blockValues, HIDDEN_IN, HIDDEN_OUT } from "./support/block-graphs.js";
import { relativeError } from "./support/central-differences.js";
import { randomNumbers } from "./support/random.js";
import { feedsOf, type Numbers, runModel } from "./support/run-model.js";
import { toFloat64 } from "./support/to-float64.js";

const LENGTH = 12;

type Gradients = Readonly<Record<string, readonly number[]>>;

/** Computed by PyTorch; see testdata/README.md. */
const { gradients: reference }: { readonly gradients: Readonly<Record<string, Gradients>> } = JSON.parse(
  readFileSync(new URL("../testdata/reference-gradients.json", import.meta.url), "utf8"),
);

/** What the file holds of a gradient: all of a vector, and of a matrix its product with numbers at random. */
function witness(name: string, { dims, data }: Numbers): readonly number[] {
  if (name === HIDDEN_IN || dims.length === 1) return data;
  const columns = dims[1]!;
  const factors = randomNumbers([columns], 3).data;
  return Array.from({ length: dims[0]! }, (_, row) =>
    factors.reduce((sum, factor, column) => sum + factor * data[row * columns + column]!, 0),
  );
}

describe.each(Object.entries(reference))("a block of %s", (family, expected) => {
  it("has the gradients that PyTorch computes", async () => {
    const block = await blockGraph(family, LENGTH, "plain");
    const values = blockValues(block);
    const inputs = Object.keys(values);
    const upstream = randomNumbers(values[HIDDEN_IN]!.dims, 2);
    const found = await runModel(
      differentiate(toFloat64(block, inputs), { outputs: [HIDDEN_OUT], inputs }),
      feedsOf({ ...values, [`grad.${HIDDEN_OUT}`]: upstream }, "float64"),
    );
    expect(Object.keys(expected).sort()).toEqual(inputs.toSorted());
    const errors = inputs.map((name) => [
      name,
      relativeError(witness(name, found[`grad.${name}`]!), expected[name]!, 1e-2),
    ]);
    // Graphs hold tables of rotations and constants in float32, which rounds them by 6e-8.
    expect(errors.filter(([, error]) => !(Number(error) < 1e-6))).toEqual([]);
  });
});
