import type { Linear } from "../model/decoder-weights.js";
import { type FoldedLayer, type FoldLayerInput, foldLayer } from "./fold-block.js";
import { type RefitInputsInput, type RefitLinearInput, refitInputs, refitLinear } from "./refit.js";

/** The linear algebra of a fold, block by block: pure functions of plain data, which any thread can run. */
export interface BlockTasks {
  foldLayer(input: FoldLayerInput): FoldedLayer;
  refitInputs(input: RefitInputsInput): readonly Linear[];
  refitLinear(input: RefitLinearInput): Linear;
}

const blockTasks: BlockTasks = { foldLayer, refitInputs, refitLinear };

/**
 * Runs the linear algebra of a fold. In a thread of its own, a task goes on while the fold runs the model over its
 * windows; results are the same wherever it runs.
 */
export interface BlockMath {
  run<N extends keyof BlockTasks>(
    task: N,
    input: Parameters<BlockTasks[N]>[0],
  ): Promise<ReturnType<BlockTasks[N]>>;
  dispose(): Promise<void>;
}

/** Runs tasks in the caller's thread, at once. */
export const inlineBlockMath: BlockMath = {
  run: async (task, input) => runTask(task, input),
  dispose: async () => {},
};

/** Runs one task. */
export function runTask<N extends keyof BlockTasks>(
  task: N,
  input: Parameters<BlockTasks[N]>[0],
): ReturnType<BlockTasks[N]> {
  const work = blockTasks[task] as (given: typeof input) => ReturnType<BlockTasks[N]>;
  return work(input);
}
