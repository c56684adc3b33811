import type { MlpSource } from "../model/block-spec.js";
import type { Linear, MlpWeights } from "../model/decoder-weights.js";
import { joinColumns, takeColumns } from "./fused-columns.js";
import { loadFused, loadLinear, storeLinear } from "./stored-linear.js";
import type { ReadTensor, StoredTensor } from "./stored-tensor.js";

/** Reads the feed-forward half of a block; a gate in front of `up` in one tensor is taken apart. */
export async function loadMlp(
  read: ReadTensor,
  { activation, width, input, down }: MlpSource,
  hiddenSize: number,
): Promise<MlpWeights> {
  return {
    activation,
    ...(await loadInput(read, input, hiddenSize, width)),
    down: await loadLinear(read, down, width, hiddenSize),
  };
}

async function loadInput(
  read: ReadTensor,
  input: MlpSource["input"],
  hiddenSize: number,
  width: number,
): Promise<Pick<MlpWeights, "gate" | "up">> {
  if (input.layout === "plain")
    return { gate: undefined, up: await loadLinear(read, input.up, hiddenSize, width) };
  if (input.layout === "gated") {
    return {
      gate: await loadLinear(read, input.gate, hiddenSize, width),
      up: await loadLinear(read, input.up, hiddenSize, width),
    };
  }
  const fused = await loadFused(read, input.fused, hiddenSize, 2 * width);
  return { gate: takeColumns(fused, [gateOf(width)]), up: takeColumns(fused, [upOf(width)]) };
}

/** The opposite of `loadMlp`. */
export function storeMlp({ input, down }: MlpSource, weights: MlpWeights): readonly StoredTensor[] {
  return [...storeInput(input, weights.gate, weights.up), ...storeLinear(down, weights.down)];
}

function storeInput(
  input: MlpSource["input"],
  gate: Linear | undefined,
  up: Linear,
): readonly StoredTensor[] {
  if (input.layout === "plain") return storeLinear(input.up, up);
  if (input.layout === "gated") return [...storeLinear(input.gate, gate!), ...storeLinear(input.up, up)];
  const fused = joinColumns([
    { linear: gate!, ranges: [gateOf(up.outputs)] },
    { linear: up, ranges: [upOf(up.outputs)] },
  ]);
  return storeLinear(input.fused, fused);
}

const gateOf = (width: number) => ({ start: 0, end: width });
const upOf = (width: number) => ({ start: width, end: 2 * width });
