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
  readonly layers: number;
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

/** The work between two finished blocks. It includes the measurements of the next block. */
export interface BlockSchedule {
  readonly layer: number;
  readonly steps: readonly Step[];
}

/**
 * The schedule of a fold from block `first` on. Graphs run one after the other in this order, and linear algebra goes on
 * beside them: bases are chosen while the original finishes the block, and the next block is measured while the large
 * refits are solved. Steps whose results nobody uses are left out, so a plan without taps and healing runs no graph.
 */
export function foldSchedule(facts: ScheduleFacts, first: number): FoldSchedule {
  const { taps } = facts;
  const layers = Array.from({ length: facts.layers - first }, (_, index) => first + index);
  const [opening, ...blocks] = neededSteps([
    layers.length === 0 ? [] : [measureAttention(first, taps), measureProjections(first, taps)],
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

/** The work on a block after its measurements, and the measurements of the next one if there is one. */
const blockSteps = (layer: number, { heal, taps, layers }: ScheduleFacts): readonly Step[] =>
  [chooseBases(layer), ...healSteps[heal](layer, taps)].filter((step) => step.layer < layers);

const chooseBases = (layer: number): Step => ({
  name: "choose bases",
  layer,
  phase: "measure",
  solve: foldAttentionLayer,
});

const healSteps: Readonly<Record<Heal, (layer: number, taps: readonly Tap[]) => readonly Step[]>> = {
  none: (layer, taps) => [
    finishOriginal(layer),
    measureAttention(layer + 1, taps),
    measureProjections(layer + 1, taps),
  ],
  attention: (layer, taps) => [
    refitAttentionInputs(layer),
    finishOriginal(layer),
    narrowHeads(layer),
    refitOutput(layer),
    measureAttention(layer + 1, taps),
    addAttention(layer),
    widenHeads(layer),
    measureProjections(layer + 1, taps),
    runMlp(layer),
  ],
  both: (layer, taps) => [
    refitAttentionInputs(layer),
    finishOriginal(layer),
    narrowHeads(layer),
    refitOutput(layer),
    measureAttention(layer + 1, taps),
    addAttentionAndRefitMlpInputs(layer),
    widenHeads(layer),
    refitDown(layer),
    measureProjections(layer + 1, taps),
    addMlp(layer),
  ],
};
