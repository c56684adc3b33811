import type { HiddenStates } from "@kvfold/calibration";
import type { ModelConfig } from "../checkpoint/read-config.js";
import {
  attentionRefitGraph,
  blockGraph,
  HIDDEN_IN,
  HIDDEN_OUT,
  mlpGraph,
  mlpRefitGraph,
  REFIT,
  REFIT_CROSS,
  REFIT_TARGET,
  RESIDUAL_OUT,
  TARGET_IN,
} from "../graph/calibration-graphs.js";
import type { BlockWeights, Linear } from "../model/decoder-weights.js";
import type { BiasPolicy, Heal } from "../plan/fold-plan.js";
import type { Calibrator } from "./calibrator.js";
import { refitLinear } from "./refit.js";

/** Takes the folded model's hidden states down its blocks beside the original's, and refits each block on the way. */
export interface Healer {
  /** Refits the folded block against the original that the calibrator measured last, and runs it. */
  heal(block: BlockWeights): Promise<BlockWeights>;
  dispose(): Promise<void>;
}

export declare namespace startHealing {
  interface Options {
    readonly config: ModelConfig;
    /** At its embedding, with the streams that healing aims at. */
    readonly calibrator: Calibrator;
    readonly heal: Exclude<Heal, "none">;
    readonly bias: BiasPolicy;
  }
}

/** Starts the folded stream where the original one is: behind the embedding. */
export async function startHealing({
  config,
  calibrator,
  heal,
  bias,
}: startHealing.Options): Promise<Healer> {
  const { runner, hidden } = calibrator;
  const folded = await runner.createStream(config.shape.hiddenSize);
  for (let index = 0; index < runner.count; index++)
    await folded.write(index, (await hidden.read(index)).slice());
  const run = { config, calibrator, folded, bias };
  return {
    async heal(block) {
      const attention = {
        ...block,
        attention: { ...block.attention, output: await refitAttention(run, block) },
      };
      return heal === "both" ? refitMlp(run, attention) : runBlock(run, attention);
    },
    dispose: () => folded.dispose(),
  };
}

interface HealRun {
  readonly config: ModelConfig;
  readonly calibrator: Calibrator;
  readonly folded: HiddenStates;
  readonly bias: BiasPolicy;
}

/** `W_O` in the folded width, against the original's stream between the halves. */
async function refitAttention(
  { config, calibrator, folded, bias }: HealRun,
  weights: BlockWeights,
): Promise<Linear> {
  const { runner, residual } = calibrator;
  const { output } = weights.attention;
  const result = await runner.run(attentionRefitGraph({ config, weights, length: runner.length }), {
    inputs: { [HIDDEN_IN]: folded, [TARGET_IN]: residual! },
    ...regressionSizes(output),
  });
  return refitLinear(output, result, bias);
}

/** The MLP's last projection, against the original's stream behind the block; then on with the folded stream. */
async function refitMlp(
  { config, calibrator, folded, bias }: HealRun,
  block: BlockWeights,
): Promise<BlockWeights> {
  const { runner, hidden } = calibrator;
  const { length } = runner;
  const result = await runner.run(mlpRefitGraph({ config, weights: block, length }), {
    inputs: { [HIDDEN_IN]: folded, [TARGET_IN]: hidden },
    outputs: { [RESIDUAL_OUT]: folded },
    ...regressionSizes(block.mlp.down),
  });
  const healed = { ...block, mlp: { ...block.mlp, down: refitLinear(block.mlp.down, result, bias) } };
  const streams = { inputs: { [HIDDEN_IN]: folded }, outputs: { [HIDDEN_OUT]: folded } };
  await runner.run(mlpGraph({ config, weights: healed, length }), streams);
  return healed;
}

async function runBlock(
  { config, calibrator: { runner }, folded }: HealRun,
  block: BlockWeights,
): Promise<BlockWeights> {
  const graph = blockGraph({ config, weights: block, length: runner.length }, [], [HIDDEN_OUT]);
  await runner.run(graph, { inputs: { [HIDDEN_IN]: folded }, outputs: { [HIDDEN_OUT]: folded } });
  return block;
}

const regressionSizes = ({ inputs, outputs }: Linear) => ({
  moments: [{ name: REFIT, size: inputs }],
  sums: [
    { name: REFIT_CROSS, size: inputs * outputs },
    { name: REFIT_TARGET, size: outputs },
  ],
});
