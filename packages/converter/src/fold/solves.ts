import type { BlockWeights, Linear } from "@kvfold/decoder";
import { layerContext } from "./group.js";
import { directionsPerHead } from "./head-directions.js";
import { mayShift, refitLast } from "./refit-last.js";
import type { FoldedBlock, Solve, SolveInput } from "./step.js";

/** Chooses the bases of the block's attention and folds it with them. */
export const foldAttentionLayer: Solve = async (block, { layer, moments, plan, math }) => {
  const { attention } = block.weights;
  const context = layerContext(plan, { layer, attention, moments });
  const folded = await math.run("foldLayer", {
    ...context,
    method: plan.method,
    plan: plan.layers[layer]!,
  });
  return { weights: { ...block.weights, attention: folded.attention }, retained: folded.retained };
};

/** Takes the best guess of the original's normalised inputs into `W_Q`, `W_K` and `W_V`. */
export const solveAttentionInputs: Solve = async (block, input) => {
  const { attention } = block.weights;
  const { query, key, value } = attention;
  const [q, k, v] = await moveInputs([query, key, value], input);
  return withWeights(block, { attention: { ...attention, query: q!, key: k!, value: v! } });
};

/**
 * Puts `W_O` into fewer directions of each head where its folded width is more than the text can teach. A joint latent is
 * read in these directions from then on.
 */
export const narrowHeadOutputs: Solve = async (block, { tokens, math }) => {
  const { attention } = block.weights;
  const { joint, values } = attention;
  const size = directionsPerHead(attention, tokens);
  if (joint === undefined && size === values.size) return block;
  const { directions, output } = await math.run("narrowOutput", { attention, size });
  if (joint === undefined) return { ...withOutput(block, output), directions };
  const read = { ...joint, decodeValues: directions.matrices };
  return withWeights(block, { attention: { ...attention, output, joint: read } });
};

/** Refits `W_O`. */
export const solveOutput: Solve = async (block, input) => {
  const { attention, attentionNorms } = block.weights;
  return withOutput(block, await refitLast(attention.output, attentionNorms.output, input));
};

/** Undoes `narrowHeadOutputs`, with `W_O` as it was refitted. */
export const widenHeadOutputs: Solve = async ({ directions, ...block }, { math }) => {
  if (directions === undefined) return block;
  const { attention } = block.weights;
  const narrow = { directions, output: attention.output };
  return withOutput(block, await math.run("widenOutput", { attention, narrow }));
};

/** Takes the best guess of the original's normalised inputs into the MLP's first projections. */
export const solveMlpInputs: Solve = async (block, input) => {
  const { mlp } = block.weights;
  const linears = mlp.gate === undefined ? [mlp.up] : [mlp.up, mlp.gate];
  const [up, gate] = await moveInputs(linears, input);
  return withWeights(block, { mlp: { ...mlp, up: up!, gate } });
};

/** Refits the MLP's last projection. */
export const solveDown: Solve = async (block, input) => {
  const { mlp, mlpNorms } = block.weights;
  const down = await refitLast(mlp.down, mlpNorms.output, input);
  return withWeights(block, { mlp: { ...mlp, down } });
};

function moveInputs(
  linears: readonly Linear[],
  { sums, plan, math }: SolveInput,
): Promise<readonly Linear[]> {
  const bias = linears.every((linear) => mayShift(linear, plan.bias)) ? "free" : "none";
  return math.run("refitInputs", { linears, sums, bias });
}

const withWeights = (block: FoldedBlock, changed: Partial<BlockWeights>): FoldedBlock => ({
  ...block,
  weights: { ...block.weights, ...changed },
});

const withOutput = (block: FoldedBlock, output: Linear): FoldedBlock =>
  withWeights(block, { attention: { ...block.weights.attention, output } });
