import { readModel } from "@kvfold/onnx";
import { describe, expect, it } from "vitest";
import { familyNames } from "../../decoder/test/support/families.js";
import { operatorKey } from "../src/attributes.js";
import { differentiate, gradientRules, operatorsWithoutGradient } from "../src/index.js";
import { blockGraph, blockValues, HIDDEN_IN, HIDDEN_OUT } from "./support/block-graphs.js";
import { dot, relativeError } from "./support/central-differences.js";
import { randomNumbers } from "./support/random.js";
import { feedsOf, type Numbers, openModel, runModel } from "./support/run-model.js";
import { toFloat64 } from "./support/to-float64.js";

const LENGTH = 5;
const SEED = `grad.${HIDDEN_OUT}`;

/** Gradients of a block's output by all that it is made of, in float64, attention written out. */
async function wideGradients(family: string) {
  const plain = await blockGraph(family, LENGTH, "plain");
  const values = blockValues(plain);
  const inputs = Object.keys(values);
  const upstream = randomNumbers(values[HIDDEN_IN]!.dims, 2);
  const wide = toFloat64(plain, inputs);
  const gradients = await runModel(
    differentiate(wide, { outputs: [HIDDEN_OUT], inputs }),
    feedsOf({ ...values, [SEED]: upstream }, "float64"),
  );
  return { wide, values, inputs, upstream, gradients };
}

/** `w (J v)` by central differences: `evaluate` gives the output for `values[name] + step * v`. */
async function alongDirection(
  evaluate: (step: number) => Promise<Numbers>,
  upstream: Numbers,
): Promise<number> {
  const at = async (step: number) => dot([await evaluate(step)], [upstream]);
  return ((await at(1e-5)) - (await at(-1e-5))) / 2e-5;
}

/** Errors that are too large, by name. */
const above = (errors: Readonly<Record<string, number>>, tolerance: number) =>
  Object.fromEntries(Object.entries(errors).filter(([, error]) => !(error < tolerance)));

const moved = ({ dims, data }: Numbers, direction: Numbers, step: number): Numbers => ({
  dims,
  data: data.map((value, index) => value + step * direction.data[index]!),
});

// Grouped queries and SiLU; one LayerNorm and a GELU by tanh; ALiBi; soft caps and four norms; one KV head, in parallel;
// partial rotation and a GELU by erf; norms of queries and keys; the square of a ReLU.
const families = ["llama", "gpt2", "bloom", "gemma2", "falcon-mqa", "gpt_neox", "olmo2", "nemotron"];

describe.each(families)("a block of %s", (family) => {
  it("has the gradients of central differences, and its fused operators the same", async () => {
    const { wide, values, inputs, upstream, gradients } = await wideGradients(family);
    const forward = await openModel(wide);
    const errors: Record<string, number> = {};
    for (const [index, name] of inputs.entries()) {
      const direction = randomNumbers(values[name]!.dims, index + 3);
      const evaluate = async (step: number) => {
        const feeds = feedsOf({ ...values, [name]: moved(values[name]!, direction, step) }, "float64");
        return (await forward.run(feeds))[HIDDEN_OUT]!;
      };
      const expected = await alongDirection(evaluate, upstream);
      // Both sides of the adjoint. A softmax does not see a bias of the keys: its gradient is 0, the differences round.
      errors[name] = relativeError([dot([gradients[`grad.${name}`]!], [direction])], [expected], 1e-2);
    }
    expect(above(errors, 1e-6)).toEqual({});
    await forward.release();

    const fused = await blockGraph(family, LENGTH);
    const narrow = await runModel(
      differentiate(fused.bytes, { outputs: [HIDDEN_OUT], inputs }),
      feedsOf({ [HIDDEN_IN]: values[HIDDEN_IN]!, [SEED]: upstream }, "float32"),
      fused,
    );
    // Float32 rounds by 6e-8, some hundred times on the way, and to nothing near 0 where the gradient is 0.
    for (const name of inputs)
      errors[name] = relativeError(narrow[`grad.${name}`]!.data, gradients[`grad.${name}`]!.data, 0.1);
    expect(above(errors, 2e-5)).toEqual({});
  });
});

/** More tokens than attention takes queries at a time, forward and backward. */
const LONG = 300;

it.each([
  ["llama", "all keys before a query"],
  ["mistral", "a window of keys"],
])("a long block of %s has the same gradients for fused and plain attention: %s", async (family) => {
  const gradients = async (kind?: "plain") => {
    const block = await blockGraph(family, LONG, kind);
    const { [HIDDEN_IN]: hidden } = blockValues(block);
    const feeds = feedsOf({ [HIDDEN_IN]: hidden!, [SEED]: randomNumbers(hidden!.dims, 2) }, "float32");
    const inputs = [HIDDEN_IN, "attn.k_proj.MatMul.weight", "attn.v_proj.MatMul.weight"];
    return runModel(differentiate(block.bytes, { outputs: [HIDDEN_OUT], inputs }), feeds, block);
  };
  const [fused, plain] = [await gradients(), await gradients("plain")];
  const errors = Object.entries(fused).map(([name, { data }]) => relativeError(data, plain[name]!.data));
  // Sums of 300 terms in other orders: float32 rounds by 6e-8.
  expect(Math.max(...errors)).toBeLessThan(2e-5);
});

it.each(familyNames)("every operator in a block of %s has a rule or carries no gradient", async (family) => {
  for (const kind of [undefined, "plain"] as const) {
    const { nodes } = readModel((await blockGraph(family, LENGTH, kind)).bytes);
    const known = (name: string) => Object.hasOwn(gradientRules, name) || operatorsWithoutGradient.has(name);
    expect([...new Set(nodes.map(operatorKey))].filter((name) => !known(name))).toEqual([]);
  }
});
