import type { StageMoments, StageResult } from "@kvfold/calibration";
import type { BlockWeights } from "@kvfold/decoder";
import type { BlockWindow } from "@kvfold/decoder/graph";
import type { CalibrationGraph } from "../graph/calibration-graph.js";
import type { HeadDirections } from "../graph/emit-decoded-attention.js";
import type { Tap } from "../graph/taps.js";
import type { Retained } from "../methods/retained.js";
import type { BiasPolicy, FoldPlan } from "../plan/fold-plan.js";
import type { BlockMath } from "./block-math.js";
import type { FoldStep } from "./progress.js";
import type { Stream } from "./stream.js";

/**
 * One step of the work on a block: a graph that runs over the calibration windows, linear algebra with what the graph
 * summed, or only one of the two. Steps run in order. The linear algebra of a step goes on beside the steps after it, up to
 * the next graph that needs the folded weights.
 */
export interface Step {
  readonly name: string;
  /** The block that it works on. */
  readonly layer: number;
  /** What a fold reports while the step runs. */
  readonly phase: Extract<FoldStep, "measure" | "heal">;
  readonly run?: GraphRun;
  readonly solve?: Solve;
}

/** A step that runs a graph. */
export type GraphStep = Step & { readonly run: GraphRun };

export const runsGraph = (step: Step): step is GraphStep => step.run !== undefined;

/** The streams that a step reads. */
export const readsOf = ({ run }: Step): readonly Stream[] => Object.values(run?.reads ?? {});

/** The streams that a step writes. */
export const writesOf = ({ run }: Step): readonly Stream[] => Object.values(run?.writes ?? {});

/** A graph, and the streams that it reads and writes. */
export interface GraphRun {
  readonly graph: (input: GraphInput) => CalibrationGraph;
  /** Whose weights it computes with: the original block's, or the folded block's as they are by then. */
  readonly weights: "original" | "folded";
  /** Streams by graph input. */
  readonly reads: Streams;
  /** Streams by graph output. */
  readonly writes: Streams;
  /** What the graph measures for the choice of bases. */
  readonly taps?: readonly Tap[];
  /** Windows that are enough; all of them without it. */
  readonly limit?: number;
}

/** Streams by the name of the graph input or output. */
export type Streams = Readonly<Record<string, Stream>>;

/** What a graph is made from. */
export interface GraphInput extends BlockWindow {
  /** Names of the outputs that are wanted. */
  readonly outputs: readonly string[];
  /** See `FoldedBlock`. */
  readonly directions: HeadDirections | undefined;
  readonly bias: BiasPolicy;
}

/** A block on its way from the original to the folded and healed one. */
export interface FoldedBlock {
  readonly weights: BlockWeights;
  readonly retained: Retained;
  /** Directions of the head outputs that `W_O` reads while it is refitted; the folded width without them. */
  readonly directions?: HeadDirections | undefined;
}

/** Linear algebra: the block as it was in, as it is to be out. */
export type Solve = (block: FoldedBlock, input: SolveInput) => Promise<FoldedBlock>;

/** What a solve may look at. */
export interface SolveInput {
  /** What the graph of the same step summed; nothing where it has none. */
  readonly sums: StageResult;
  readonly layer: number;
  /** What was measured of the block. */
  readonly moments: StageMoments;
  readonly plan: FoldPlan;
  readonly math: BlockMath;
  /** Calibration tokens. */
  readonly tokens: number;
}
