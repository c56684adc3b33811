import type { HiddenStates, StageResult } from "@kvfold/calibration";
import type { BlockWeights, Linear, ModelConfig } from "@kvfold/decoder";
import { HIDDEN_IN, HIDDEN_OUT, mlpGraph, RESIDUAL_OUT } from "../graph/calibration-graphs.js";
import type { HeadDirections } from "../graph/emit-decoded-attention.js";
import {
  ACTIVATIONS_IN,
  ACTIVATIONS_OUT,
  ATTENDED_IN,
  ATTENDED_OUT,
  attentionInputRefitGraph,
  attentionRefitGraph,
  downGraph,
  mlpRefitGraph,
  REFIT,
  REFIT_CROSS,
  REFIT_TARGET,
  residualGraph,
  residualRefitGraph,
  TARGET_IN,
} from "../graph/healing-graphs.js";
import type { BiasPolicy, Heal } from "../plan/fold-plan.js";
import { inBackground } from "./background.js";
import type { BlockMath } from "./block-math.js";
import type { Calibrator, StreamPosition } from "./calibrator.js";
import { copyStates } from "./copy-states.js";
import { directionsPerHead } from "./head-directions.js";
import type { Meanwhile } from "./meanwhile.js";

/** Takes the folded model's hidden states down its blocks beside the original's, and refits each block on the way. */
export interface Healer {
  /** The folded model's stream: behind the block that was healed last. */
  readonly folded: HiddenStates;
  /** Compares what the block reads with what the original's reads; when the original is before the block. */
  compareInputs(block: BlockWeights): Promise<StageResult>;
  /** Refits what the folded attention makes of its inputs, by that comparison. */
  refitAttentionInputs(folded: BlockWeights, compared: StageResult): Promise<BlockWeights>;
  /**
   * Refits the rest of the folded block and runs it; when the original is behind the block. `meanwhile` is done while
   * the two large refits are solved.
   */
  heal(folded: BlockWeights, meanwhile: Meanwhile): Promise<BlockWeights>;
  dispose(): Promise<void>;
}

export declare namespace startHealing {
  interface Options {
    readonly config: ModelConfig;
    /** At its embedding or where it goes on, with the streams that healing aims at. */
    readonly calibrator: Calibrator;
    readonly heal: Exclude<Heal, "none">;
    readonly bias: BiasPolicy;
    readonly math: BlockMath;
    /** Where the folded stream goes on, when the calibrator does; behind the embedding without it. */
    readonly resume?: StreamPosition | undefined;
  }
}

interface HealRun extends startHealing.Options {
  readonly folded: HiddenStates;
}

/** Starts the folded stream where the original one is: behind the embedding, or where an earlier fold stopped. */
export async function startHealing(options: startHealing.Options): Promise<Healer> {
  const { heal } = options;
  const folded = await startFolded(options);
  const run: HealRun = { ...options, folded };
  return {
    folded,
    compareInputs: (block) => compareInputs(run, block),
    refitAttentionInputs: (block, compared) => refitAttentionInputs(run, block, compared),
    async heal(block, meanwhile) {
      const healed = await healAttention(run, block, meanwhile);
      if (heal === "both") return healMlp(run, healed, meanwhile);
      await meanwhile.measureProjections();
      await runMlp(run, healed);
      return healed;
    },
    dispose: () => folded.dispose(),
  };
}

async function startFolded({ calibrator, config, resume }: startHealing.Options): Promise<HiddenStates> {
  const { runner, hidden } = calibrator;
  const folded = await runner.createStream(config.shape.hiddenSize);
  try {
    await (resume === undefined ? copyStates(hidden, folded) : resume.restore(folded));
    return folded;
  } catch (error) {
    await folded.dispose();
    throw error;
  }
}

const windowOf = ({ config, calibrator }: HealRun, weights: BlockWeights) => ({
  config,
  weights,
  length: calibrator.runner.length,
});

function compareInputs(run: HealRun, block: BlockWeights): Promise<StageResult> {
  const { calibrator, config, folded } = run;
  const { hiddenSize } = config.shape;
  return calibrator.runner.run(attentionInputRefitGraph(windowOf(run, block)), {
    inputs: { [HIDDEN_IN]: folded, [TARGET_IN]: calibrator.hidden },
    ...regressionSizes(hiddenSize, hiddenSize),
  });
}

async function refitAttentionInputs(
  { math, bias }: HealRun,
  block: BlockWeights,
  sums: StageResult,
): Promise<BlockWeights> {
  const { attention } = block;
  const { query, key, value } = attention;
  const [q, k, v] = await math.run("refitInputs", { linears: [query, key, value], sums, bias });
  return { ...block, attention: { ...attention, query: q!, key: k!, value: v! } };
}

/** Refits `W_O` and what reads the result, and takes the folded stream to between the halves. */
async function healAttention(run: HealRun, block: BlockWeights, meanwhile: Meanwhile): Promise<BlockWeights> {
  const { attention } = block;
  const { runner } = run.calibrator;
  const size = directionsPerHead(attention, runner.count * runner.length);
  if (size === attention.values.size) return healHeads(run, block, undefined, meanwhile);
  const { directions, output } = await run.math.run("narrowOutput", { attention, size });
  const healed = await healHeads(run, withOutput(block, output), directions, meanwhile);
  const narrow = { directions, output: healed.attention.output };
  return withOutput(healed, await run.math.run("widenOutput", { attention, narrow }));
}

const withOutput = (block: BlockWeights, output: Linear): BlockWeights => ({
  ...block,
  attention: { ...block.attention, output },
});

/** The same with head outputs in the folded width, or in `directions`; `W_O` reads them as they are. */
async function healHeads(
  run: HealRun,
  block: BlockWeights,
  directions: HeadDirections | undefined,
  meanwhile: Meanwhile,
): Promise<BlockWeights> {
  const attended = await run.calibrator.runner.createStream(block.attention.output.inputs);
  try {
    const refitted = await refitOutput(run, block, directions, attended, meanwhile);
    return run.heal === "both"
      ? await refitMlpInputs(run, refitted, attended)
      : await addAttention(run, refitted, attended);
  } finally {
    await attended.dispose();
  }
}

async function refitOutput(
  run: HealRun,
  block: BlockWeights,
  directions: HeadDirections | undefined,
  attended: HiddenStates,
  { measureAttention }: Meanwhile,
): Promise<BlockWeights> {
  const { calibrator, folded, math, bias } = run;
  const { attention } = block;
  const sums = await calibrator.runner.run(attentionRefitGraph(windowOf(run, block), directions), {
    inputs: { [HIDDEN_IN]: folded, [TARGET_IN]: calibrator.residual },
    outputs: { [ATTENDED_OUT]: attended },
    ...regressionSizes(attention.output.inputs, attention.output.outputs),
  });
  const solving = inBackground(math.run("refitLinear", { linear: attention.output, sums, bias }));
  await measureAttention();
  return withOutput(block, await solving);
}

async function addAttention(
  run: HealRun,
  block: BlockWeights,
  attended: HiddenStates,
): Promise<BlockWeights> {
  const { calibrator, folded } = run;
  await calibrator.runner.run(residualGraph(windowOf(run, block)), {
    inputs: { [HIDDEN_IN]: folded, [ATTENDED_IN]: attended },
    outputs: { [RESIDUAL_OUT]: folded },
  });
  return block;
}

/** Adds the attention, and refits what the MLP makes of the sum. */
async function refitMlpInputs(
  run: HealRun,
  block: BlockWeights,
  attended: HiddenStates,
): Promise<BlockWeights> {
  const { calibrator, config, folded, math, bias } = run;
  const { hiddenSize } = config.shape;
  const sums = await calibrator.runner.run(residualRefitGraph(windowOf(run, block)), {
    inputs: { [HIDDEN_IN]: folded, [ATTENDED_IN]: attended, [TARGET_IN]: calibrator.residual },
    outputs: { [RESIDUAL_OUT]: folded },
    ...regressionSizes(hiddenSize, hiddenSize),
  });
  const { gate, up } = block.mlp;
  const linears = gate === undefined ? [up] : [up, gate];
  const [newUp, newGate] = await math.run("refitInputs", { linears, sums, bias });
  return { ...block, mlp: { ...block.mlp, up: newUp!, gate: newGate } };
}

/** Refits the MLP's last projection against the original's stream behind the block, and takes the folded one there. */
async function healMlp(run: HealRun, block: BlockWeights, meanwhile: Meanwhile): Promise<BlockWeights> {
  const { inputs } = block.mlp.down;
  const activations = await run.calibrator.runner.createStream(inputs);
  try {
    const healed = await refitDown(run, block, activations, meanwhile);
    await addMlp(run, healed, activations);
    return healed;
  } finally {
    await activations.dispose();
  }
}

async function refitDown(
  run: HealRun,
  block: BlockWeights,
  activations: HiddenStates,
  { measureProjections }: Meanwhile,
): Promise<BlockWeights> {
  const { calibrator, folded, math, bias } = run;
  const { down } = block.mlp;
  const sums = await calibrator.runner.run(mlpRefitGraph(windowOf(run, block)), {
    inputs: { [HIDDEN_IN]: folded, [TARGET_IN]: calibrator.hidden },
    outputs: { [ACTIVATIONS_OUT]: activations },
    ...regressionSizes(down.inputs, down.outputs),
  });
  const solving = inBackground(math.run("refitLinear", { linear: down, sums, bias }));
  await measureProjections();
  return { ...block, mlp: { ...block.mlp, down: await solving } };
}

/** The second half of a block where its activations are kept. */
async function addMlp(run: HealRun, block: BlockWeights, activations: HiddenStates): Promise<void> {
  const { calibrator, folded } = run;
  await calibrator.runner.run(downGraph(windowOf(run, block)), {
    inputs: { [HIDDEN_IN]: folded, [ACTIVATIONS_IN]: activations },
    outputs: { [HIDDEN_OUT]: folded },
  });
}

/** The second half of a block. */
async function runMlp(run: HealRun, block: BlockWeights): Promise<void> {
  const { calibrator, folded } = run;
  await calibrator.runner.run(mlpGraph(windowOf(run, block)), {
    inputs: { [HIDDEN_IN]: folded },
    outputs: { [HIDDEN_OUT]: folded },
  });
}

const regressionSizes = (inputs: number, outputs: number) => ({
  moments: [{ name: REFIT, size: inputs }],
  sums: [
    { name: REFIT_CROSS, size: inputs * outputs },
    { name: REFIT_TARGET, size: outputs },
  ],
});
