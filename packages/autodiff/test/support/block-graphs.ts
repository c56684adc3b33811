import { loadBlock } from "@kvfold/decoder";
import {
  type AttentionKind,
  attentionKind,
  emitAttentionHalf,
  emitMlpHalf,
  windowContext,
  windowGraph,
} from "@kvfold/decoder/graph";
import { readModel } from "@kvfold/onnx";
import { openFamily } from "../../../decoder/test/support/families.js";
import { randomNumbers } from "./random.js";
import type { Numbers } from "./run-model.js";
import { floatsOf, initializerBytes, type MemoryModel } from "./to-float64.js";

export const HIDDEN_IN = "hidden_in";
export const HIDDEN_OUT = "hidden_out";

/** The first block of a small model over a window of `length` tokens; its attention is of the block's own kind by default. */
export async function blockGraph(
  family: string,
  length: number,
  asked?: AttentionKind,
): Promise<MemoryModel> {
  const checkpoint = await openFamily(family);
  const { config } = checkpoint;
  const weights = await loadBlock(checkpoint, 0);
  const kind = asked ?? attentionKind(weights.attention, weights.attention);
  const model = windowGraph(config, length, ({ e, input, output }) => {
    const hidden = input(HIDDEN_IN);
    const context = { ...windowContext(e, { length }), kind };
    const half = emitAttentionHalf(e, hidden, weights, context);
    output(HIDDEN_OUT, emitMlpHalf(e, { hidden, residual: half.attentionResidual }, weights));
  });
  return model as MemoryModel;
}

/** Hidden states at random, and the weights of the block: what holds several floats and is no table of positions. */
export function blockValues(model: MemoryModel): Readonly<Record<string, Numbers>> {
  const view = readModel(model.bytes);
  const { inputs, initializers } = view;
  const weights = [...initializers.values()].filter(
    ({ name, type, dims }) =>
      type === "float32" && dims.length > 0 && !/positions|constants|alibi/.test(name),
  );
  const numbers = weights.map(({ name, dims }): [string, Numbers] => [
    name,
    { dims, data: [...floatsOf(initializerBytes(model, view, name))] },
  ]);
  return {
    [HIDDEN_IN]: randomNumbers(inputs[0]!.dims as number[], 1, [-2, 2]),
    ...Object.fromEntries(numbers),
  };
}
