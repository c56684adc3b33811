import type { Arrangement } from "@kvfold/decoder";
import { HIDDEN_IN, HIDDEN_OUT } from "@kvfold/decoder/graph";
import { mlpGraph, RESIDUAL_OUT } from "../graph/calibration-graphs.js";
import {
  ACTIVATIONS_IN,
  ACTIVATIONS_OUT,
  ATTENDED_IN,
  ATTENDED_OUT,
  attentionInputRefitGraph,
  attentionRefitGraph,
  downGraph,
  mlpInputRefitGraph,
  mlpRefitGraph,
  residualGraph,
  residualRefitGraph,
  TARGET_IN,
} from "../graph/healing-graphs.js";
import { mlpReads } from "./mlp-reads.js";
import { mayShift } from "./refit-last.js";
import {
  narrowHeadOutputs,
  solveAttentionInputs,
  solveDown,
  solveMlpInputs,
  solveOutput,
  widenHeadOutputs,
} from "./solves.js";
import type { Step } from "./step.js";
import type { Stream } from "./stream.js";

const original = (place: Stream["place"], layer: number): Stream => ({ model: "original", place, layer });
const folded = (place: Stream["place"], layer: number): Stream => ({ model: "folded", place, layer });
const healing = (name: string, layer: number, work: Pick<Step, "run" | "solve">): Step => ({
  name,
  layer,
  phase: "heal",
  ...work,
});

/** Regression 1: what the attention's projections read, against what the original's read. */
export const refitAttentionInputs = (layer: number): Step =>
  healing("refit attention inputs", layer, {
    run: {
      graph: attentionInputRefitGraph,
      // It takes the norms alone, which folding leaves as they are: no need to wait for the folded weights.
      weights: "original",
      reads: { [HIDDEN_IN]: folded("before", layer), [TARGET_IN]: original("before", layer) },
      writes: {},
    },
    solve: solveAttentionInputs,
  });

/** Regression 3 of a parallel block, whose MLP reads the stream before the block too. */
export const refitMlpInputs = (layer: number): Step =>
  healing("refit MLP inputs", layer, {
    run: {
      graph: mlpInputRefitGraph,
      weights: "original",
      reads: { [HIDDEN_IN]: folded("before", layer), [TARGET_IN]: original("before", layer) },
      writes: {},
    },
    solve: solveMlpInputs,
  });

/** Takes the head outputs in as few directions as the text can teach. */
export const narrowHeads = (layer: number): Step =>
  healing("narrow head outputs", layer, { solve: narrowHeadOutputs });

/** Regression 2: `W_O`, against what is missing from the folded stream to the original's between the halves. */
export const refitOutput = (layer: number): Step =>
  healing("refit output", layer, {
    run: {
      graph: ({ directions, bias, ...window }) =>
        attentionRefitGraph(window, {
          directions,
          hasOffset: mayShift(window.weights.attention.output, bias),
        }),
      weights: "folded",
      reads: { [HIDDEN_IN]: folded("before", layer), [TARGET_IN]: original("between", layer) },
      writes: { [ATTENDED_OUT]: folded("head outputs", layer) },
    },
    solve: solveOutput,
  });

/** Takes `W_O` back to the folded width. */
export const widenHeads = (layer: number): Step =>
  healing("widen head outputs", layer, { solve: widenHeadOutputs });

/** Adds the attention to the folded stream. */
export const addAttention = (layer: number): Step =>
  healing("add attention", layer, {
    run: {
      graph: (window) => ({ model: residualGraph(window) }),
      weights: "folded",
      reads: { [HIDDEN_IN]: folded("before", layer), [ATTENDED_IN]: folded("head outputs", layer) },
      writes: { [RESIDUAL_OUT]: folded("between", layer) },
    },
  });

/** The same, and regression 3: what the MLP's first projections read, against what the original's read. */
export const addAttentionAndRefitMlpInputs = (layer: number): Step =>
  healing("add attention and refit MLP inputs", layer, {
    run: {
      graph: residualRefitGraph,
      weights: "folded",
      reads: {
        [HIDDEN_IN]: folded("before", layer),
        [ATTENDED_IN]: folded("head outputs", layer),
        [TARGET_IN]: original("between", layer),
      },
      writes: { [RESIDUAL_OUT]: folded("between", layer) },
    },
    solve: solveMlpInputs,
  });

/** Regression 4: the MLP's last projection, against what is missing to the original's stream after the block. */
export const refitDown = (layer: number, arrangement: Arrangement): Step =>
  healing("refit down", layer, {
    run: {
      graph: ({ bias, ...window }) =>
        mlpRefitGraph(window, { hasOffset: mayShift(window.weights.mlp.down, bias) }),
      weights: "folded",
      reads: {
        ...mlpReads("folded", layer, arrangement),
        [TARGET_IN]: original("before", layer + 1),
      },
      writes: { [ACTIVATIONS_OUT]: folded("activations", layer) },
    },
    solve: solveDown,
  });

/** Adds the MLP, from its activations, to the folded stream. */
export const addMlp = (layer: number): Step =>
  healing("add MLP", layer, {
    run: {
      graph: (window) => ({ model: downGraph(window) }),
      weights: "folded",
      reads: { [HIDDEN_IN]: folded("between", layer), [ACTIVATIONS_IN]: folded("activations", layer) },
      writes: { [HIDDEN_OUT]: folded("before", layer + 1) },
    },
  });

/** Runs the MLP of a block that is healed in its attention alone. */
export const runMlp = (layer: number, arrangement: Arrangement): Step =>
  healing("run MLP", layer, {
    run: {
      graph: (window) => ({ model: mlpGraph(window) }),
      weights: "folded",
      reads: mlpReads("folded", layer, arrangement),
      writes: { [HIDDEN_OUT]: folded("before", layer + 1) },
    },
  });
