import type { Arrangement } from "@kvfold/decoder";
import type { Tap } from "../graph/taps.js";
import type { Heal } from "../methods/heal.js";
import { checkStreams } from "./check-streams.js";
import {
  addAttention,
  addAttentionAndRefitMlpInputs,
  addMlp,
  narrowHeads,
  refitAttentionInputs,
  refitDown,
  refitMlpInputs,
  refitOutput,
  runMlp,
  widenHeads,
} from "./heal-steps.js";
import { finishOriginal, measureAttention, measureProjections } from "./measure-steps.js";
import { neededSteps } from "./needed-steps.js";
import { foldAttentionLayer } from "./solves.js";
import { readsOf, type Step } from "./step.js";
import { type Stream, streamName } from "./stream.js";

/** What a schedule follows from. */
export interface ScheduleFacts {
  /** The blocks of the model, in order. */
  readonly blocks: readonly { readonly arrangement: Arrangement }[];
  readonly heal: Heal;
  /** What is measured of each block. */
  readonly taps: readonly Tap[];
}

/** All work of a fold, in order. */
export interface FoldSchedule {
  /** Streams that are there before the first step: the embedded text, or what an earlier run left. */
  readonly given: readonly Stream[];
  /** What comes before the first block: its measurements. */
  readonly opening: readonly Step[];
  readonly blocks: readonly BlockSchedule[];
}

/** The work between two finished blocks. It includes the measurements and the bases of the next block. */
export interface BlockSchedule {
  readonly layer: number;
  readonly steps: readonly Step[];
}

/**
 * The schedule of a fold from block `first` on. Graphs run one after the other in this order, and linear algebra goes on
 * beside them: the next block is measured, and its bases are chosen, while the large refits of this one are solved. Steps whose results nobody
 * uses are left out, so a plan without taps and healing runs no graph.
 */
export function foldSchedule(facts: ScheduleFacts, first: number): FoldSchedule {
  const { taps } = facts;
  const layers = facts.blocks.map((_, layer) => layer).slice(first);
  const [opening, ...blocks] = neededSteps([
    layers.length === 0
      ? []
      : [measureAttention(first, taps), measureProjections(first, taps), chooseBases(first)],
    ...layers.map((layer) => blockSteps(layer, facts)),
  ]);
  const steps = [...opening!, ...blocks.flat()];
  const read = new Set(steps.flatMap(readsOf).map(streamName));
  const given = (["original", "folded"] as const)
    .map((model): Stream => ({ model, place: "before", layer: first }))
    .filter((stream) => read.has(streamName(stream)));
  checkStreams(steps, given);
  return {
    given,
    opening: opening!,
    blocks: blocks.map((steps, index) => ({ layer: layers[index]!, steps })),
  };
}

/** All steps of a schedule, in order. */
export const stepsOf = ({ opening, blocks }: FoldSchedule): readonly Step[] => [
  ...opening,
  ...blocks.flatMap(({ steps }) => steps),
];

/** The work on a block after its bases, and the measurements and bases of the next one if there is one. */
function blockSteps(layer: number, { blocks, heal, taps }: ScheduleFacts): readonly Step[] {
  const { arrangement } = blocks[layer]!;
  return healSteps[heal](layer, arrangement, taps).filter((step) => step.layer < blocks.length);
}

const chooseBases = (layer: number): Step => ({
  name: "choose bases",
  layer,
  phase: "measure",
  solve: foldAttentionLayer,
});

type HealSteps = (layer: number, arrangement: Arrangement, taps: readonly Tap[]) => readonly Step[];

const healSteps: Readonly<Record<Heal, HealSteps>> = {
  none: (layer, arrangement, taps) => [
    finishOriginal(layer, arrangement),
    measureAttention(layer + 1, taps),
    measureProjections(layer + 1, taps),
    chooseBases(layer + 1),
  ],
  attention: (layer, arrangement, taps) => [
    refitAttentionInputs(layer),
    finishOriginal(layer, arrangement),
    narrowHeads(layer),
    refitOutput(layer),
    measureAttention(layer + 1, taps),
    addAttention(layer),
    widenHeads(layer),
    measureProjections(layer + 1, taps),
    chooseBases(layer + 1),
    runMlp(layer, arrangement),
  ],
  both: (layer, arrangement, taps) =>
    arrangement === "parallel" ? healParallel(layer, taps) : healSequential(layer, taps),
};

const healSequential = (layer: number, taps: readonly Tap[]): readonly Step[] => [
  refitAttentionInputs(layer),
  finishOriginal(layer, "sequential"),
  narrowHeads(layer),
  refitOutput(layer),
  measureAttention(layer + 1, taps),
  addAttentionAndRefitMlpInputs(layer),
  widenHeads(layer),
  refitDown(layer, "sequential"),
  measureProjections(layer + 1, taps),
  chooseBases(layer + 1),
  addMlp(layer),
];

/** The MLP reads what attention reads, so its inputs are refitted before the original leaves them. */
const healParallel = (layer: number, taps: readonly Tap[]): readonly Step[] => [
  refitAttentionInputs(layer),
  refitMlpInputs(layer),
  finishOriginal(layer, "parallel"),
  narrowHeads(layer),
  refitOutput(layer),
  measureAttention(layer + 1, taps),
  addAttention(layer),
  widenHeads(layer),
  refitDown(layer, "parallel"),
  measureProjections(layer + 1, taps),
  chooseBases(layer + 1),
  addMlp(layer),
];
