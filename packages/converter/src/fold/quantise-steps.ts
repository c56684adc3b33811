import type { Arrangement, BlockWeights, Linear } from "@kvfold/decoder";
import { REFIT } from "../graph/regression.js";
import {
  groupsOfInputs,
  type InputGroup,
  joinGroups,
  linearOfGroup,
  momentsOfGroup,
} from "../quantisation/groups-of-inputs.js";
import {
  addAttention,
  addAttentionAndRefitMlpInputs,
  addMlp,
  refitAttentionInputs,
  refitDown,
  refitMlpInputs,
  refitOutput,
} from "./heal-steps.js";
import { finishOriginal, measureProjections } from "./measure-steps.js";
import type { BlockSchedule } from "./schedule.js";
import type { FoldedBlock, Solve, SolveInput, Step } from "./step.js";

/**
 * The steps that bring a finished block into four bits. Two models go down side by side, as in a fold: the `original` is
 * the block as it came, the `folded` one has four bits. Each projection is refitted to what its inputs have become, then
 * rounded with their second moments.
 */
export function quantiseSteps(layer: number, arrangement: Arrangement): BlockSchedule {
  const attentionInputs = rounding(refitAttentionInputs(layer), attentionInputsOf);
  const output = rounding(refitOutput(layer), outputOf);
  const mlpInputs = arrangement === "parallel" ? refitMlpInputs : addAttentionAndRefitMlpInputs;
  const roundMlpInputs = rounding(mlpInputs(layer), mlpInputsOf);
  const down = rounding(refitDown(layer, arrangement), downOf);
  const original = [measureProjections(layer, []), finishOriginal(layer, arrangement)];
  const steps =
    arrangement === "parallel"
      ? [attentionInputs, roundMlpInputs, ...original, output, addAttention(layer), down, addMlp(layer)]
      : [attentionInputs, ...original, output, roundMlpInputs, down, addMlp(layer)];
  return { layer, steps };
}

/** Projections of a block that read the same inputs, and how others take their place. */
interface Part {
  readonly linears: (block: BlockWeights) => readonly Linear[];
  readonly replace: (block: BlockWeights, linears: readonly Linear[]) => BlockWeights;
}

const attentionInputsOf: Part = {
  linears: ({ attention: { query, key, value } }) => [query, key, value],
  replace: (block, [query, key, value]) => ({
    ...block,
    attention: { ...block.attention, query: query!, key: key!, value: value! },
  }),
};

const outputOf: Part = {
  linears: ({ attention }) => [attention.output],
  replace: (block, [output]) => ({ ...block, attention: { ...block.attention, output: output! } }),
};

const mlpInputsOf: Part = {
  linears: ({ mlp: { up, gate } }) => (gate === undefined ? [up] : [up, gate]),
  replace: (block, [up, gate]) => ({ ...block, mlp: { ...block.mlp, up: up!, gate } }),
};

const downOf: Part = {
  linears: ({ mlp }) => [mlp.down],
  replace: (block, [down]) => ({ ...block, mlp: { ...block.mlp, down: down! } }),
};

/** A step that rounds what it has solved for. */
function rounding(step: Step, part: Part): Step {
  const solve: Solve = async (block, input) => {
    const [first] = part.linears(block.weights);
    // The solve overwrites its sums.
    const groups = groupsOf(input, first!.inputs);
    return round(await step.solve!(block, input), part, groups, input);
  };
  return { ...step, name: `${step.name} in four bits`, solve };
}

/** Inputs that are rounded together, and their second moments. */
interface MeasuredGroup {
  readonly group: InputGroup;
  readonly gram: Float64Array;
}

/** An offset that is fitted as an input comes last and is left out. */
function groupsOf({ sums }: SolveInput, inputs: number): readonly MeasuredGroup[] {
  const { gram, width } = sums.moments[REFIT]!;
  return groupsOfInputs(inputs).map((group) => ({ group, gram: momentsOfGroup(gram, width, group) }));
}

async function round(
  block: FoldedBlock,
  { linears, replace }: Part,
  groups: readonly MeasuredGroup[],
  { math }: SolveInput,
): Promise<FoldedBlock> {
  const rounded: Linear[] = [];
  for (const linear of linears(block.weights)) {
    const parts: Linear[] = [];
    for (const { group, gram } of groups)
      parts.push(await math.run("quantiseLinear", { linear: linearOfGroup(linear, group), gram }));
    rounded.push(joinGroups(linear, parts));
  }
  return { ...block, weights: replace(block.weights, rounded) };
}
