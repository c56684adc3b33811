import type { BlockWeights, ModelOutput } from "@kvfold/decoder";

/** An output of a fold that keeps what it is given, and the order of its calls. */
export function recordedOutput(): {
  readonly output: ModelOutput;
  readonly calls: readonly string[];
  readonly blocks: readonly BlockWeights[];
} {
  const calls: string[] = [];
  const blocks: BlockWeights[] = [];
  const output: ModelOutput = {
    begin: async () => void calls.push("begin"),
    addBlock: async (block) => {
      calls.push("block");
      blocks.push(block);
    },
    finish: async () => void calls.push("finish"),
    abandon: async () => void calls.push("abandon"),
  };
  return { output, calls, blocks };
}
