import { memoryHiddenStates } from "@kvfold/calibration";
import type { Linear, NormWeights } from "@kvfold/decoder";
import { windowGraph } from "@kvfold/decoder/graph";
import { gaussians } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { emitProjectionRegression, projectionSums } from "../graph/regression.js";
import { inlineBlockMath } from "./block-math.js";
import { mayShift, refitLast } from "./refit-last.js";
import { createWindowRunner } from "./window-runner.js";

const [INPUTS, OUTPUTS, TOKENS, WINDOWS] = [6, 8, 64, 4];
const next = gaussians(3);
const random = (length: number, spread = 1, centre = 0) =>
  Float32Array.from({ length }, () => centre + spread * next());

const linear = (spread: number): Linear => ({
  inputs: INPUTS,
  outputs: OUTPUTS,
  weight: random(INPUTS * OUTPUTS, spread),
  bias: random(OUTPUTS, spread, spread),
});

const rms: NormWeights = { kind: "rms", epsilon: 1e-6, weight: random(OUTPUTS, 0.3, 1), bias: undefined };
const layer: NormWeights = { ...rms, kind: "layer", bias: random(OUTPUTS) };
/** Most outputs of a norm matter, one is removed and one nearly so. */
const uneven = { ...rms, weight: Float32Array.of(1, 0.8, 0, 1.2, 1e-5, -1, 0.9, 1.1) };

/** `norm(x W + b)` in plain loops. */
function apply({ weight, bias }: Linear, norm: NormWeights | undefined, x: Float32Array): number[] {
  const y = Array.from({ length: OUTPUTS }, (_, column) =>
    x.reduce((sum, value, row) => sum + value * weight[row * OUTPUTS + column]!, bias?.[column] ?? 0),
  );
  if (norm === undefined) return y;
  const mean = norm.kind === "layer" ? y.reduce((sum, value) => sum + value) / OUTPUTS : 0;
  const square = y.reduce((sum, value) => sum + (value - mean) ** 2, 0) / OUTPUTS;
  const size = Math.sqrt(square + norm.epsilon);
  return y.map((value, i) => (norm.weight[i]! * (value - mean)) / size + (norm.bias?.[i] ?? 0));
}

const windows = Array.from({ length: WINDOWS }, () => random(TOKENS * INPUTS, 1, 0.3));
const tokens = windows.flatMap((window) =>
  Array.from({ length: TOKENS }, (_, token) => window.subarray(token * INPUTS, (token + 1) * INPUTS)),
);

/** What the stream is missing at each token: what other weights would add, and noise that no weights can explain. */
function missingOf(goal: Linear, norm: NormWeights | undefined, noise: number): readonly number[][] {
  return tokens.map((x) => apply(goal, norm, x).map((value) => value + noise * next()));
}

async function refit(
  present: Linear,
  norm: NormWeights | undefined,
  missing: readonly number[][],
  bias: "free" | "none" = "free",
): Promise<Linear> {
  const { config } = await syntheticCheckpoint({ config: tinyLlama });
  const last = { linear: present, norm, hasOffset: mayShift(present, bias) };
  const graph = windowGraph(config, TOKENS, ({ e, input }) => {
    const values = { inputs: input("inputs", INPUTS), missing: input("missing", OUTPUTS) };
    emitProjectionRegression(e, values, last);
  });
  const runner = createWindowRunner({
    windows: windows.map(() => new Int32Array(TOKENS)),
    provider: nodeProvider(),
  });
  const [inputs, targets] = [
    await memoryHiddenStates(WINDOWS, TOKENS * INPUTS),
    await memoryHiddenStates(WINDOWS, TOKENS * OUTPUTS),
  ];
  for (const [index, window] of windows.entries()) {
    await inputs.write(index, window);
    const rows = missing.slice(index * TOKENS, (index + 1) * TOKENS);
    await targets.write(index, Float32Array.from(rows.flat()));
  }
  const sums = await runner.run(graph, { inputs: { inputs, missing: targets }, ...projectionSums(last) });
  return refitLast(present, norm, { sums, plan: { bias }, math: inlineBlockMath });
}

function errorOf(fitted: Linear, norm: NormWeights | undefined, missing: readonly number[][]): number {
  let sum = 0;
  for (const [index, x] of tokens.entries()) {
    const added = apply(fitted, norm, x);
    for (const [i, value] of added.entries()) sum += (value - missing[index]![i]!) ** 2;
  }
  return Math.sqrt(sum / (tokens.length * OUTPUTS));
}

/** The weights with other numbers mixed in. */
function near({ weight, bias, ...shape }: Linear, share: number): Linear {
  const other = linear(1);
  const mix = (a: Float32Array, b: Float32Array) => a.map((value, i) => value + share * b[i]!);
  return { ...shape, weight: mix(weight, other.weight), bias: bias && mix(bias, other.bias!) };
}

describe("refitLast", () => {
  it.each([
    ["no norm", undefined],
    ["an RMS norm", rms],
    ["a layer norm", layer],
  ])("finds weights that add what is missing through %s", async (_, norm) => {
    const goal = linear(1);
    const present = near(goal, 0.2);
    const missing = missingOf(goal, norm, 0);
    const [before, after] = [present, await refit(present, norm, missing)].map((weights) =>
      errorOf(weights, norm, missing),
    );
    // The divisor of each token is that of the present weights, a tenth off: what is left is of second order.
    expect(after! / before!).toBeLessThan(norm === undefined ? 0.01 : 0.25);
  });

  it.each([
    ["an RMS norm", rms],
    ["a layer norm", layer],
  ])("leaves weights that add what is missing as they are, behind %s", async (_, norm) => {
    const goal = linear(1);
    const refitted = await refit(goal, norm, missingOf(goal, norm, 0));
    // Float32 sums of one window.
    expect(
      errorOf(
        refitted,
        undefined,
        tokens.map((x) => apply(goal, undefined, x)),
      ),
    ).toBeLessThan(1e-4);
  });

  it("does not aim through weights near zero, which would swell the output", async () => {
    const goal = linear(1);
    const present = near(goal, 0.2);
    const missing = missingOf(goal, uneven, 0.2);
    const refitted = await refit(present, uneven, missing);
    expect(errorOf(refitted, uneven, missing)).toBeLessThan(errorOf(present, uneven, missing));
    for (const column of [2, 4]) {
      expect(refitted.weight[column]).toBe(present.weight[column]);
      expect(refitted.bias![column]).toBe(present.bias![column]);
    }
  });

  it("makes no bias where none may be made, and refits one that is there", async () => {
    const goal = linear(1);
    const missing = missingOf(goal, rms, 0);
    const bare = { ...near(goal, 0.2), bias: undefined };
    expect((await refit(bare, rms, missing, "none")).bias).toBeUndefined();
    expect((await refit(bare, undefined, missing, "none")).bias).toBeUndefined();
    const present = near(goal, 0.2);
    for (const norm of [undefined, rms]) {
      const aim = missingOf(goal, norm, 0);
      const refitted = await refit(present, norm, aim, "none");
      expect(errorOf(refitted, norm, aim)).toBeLessThan(0.25 * errorOf(present, norm, aim));
    }
  });
});
