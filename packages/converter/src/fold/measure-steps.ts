import type { Arrangement } from "@kvfold/decoder";
import { HIDDEN_IN, HIDDEN_OUT } from "@kvfold/decoder/graph";
import { measuredBlockGraph, mlpGraph, RESIDUAL_OUT, sensitivityGraph } from "../graph/calibration-graphs.js";
import { isAttentionTap, isProjectionTap, type Tap } from "../graph/taps.js";
import { mlpReads } from "./mlp-reads.js";
import type { Step } from "./step.js";
import type { Stream } from "./stream.js";

/** Windows that attention taps are measured on: their statistics are a few numbers per head, and slow to get. */
export const ATTENTION_WINDOWS = 16;

const stream = (place: Stream["place"], layer: number): Stream => ({ model: "original", place, layer });

/** The moments that need the attention matrix of the original block. */
export function measureAttention(layer: number, taps: readonly Tap[]): Step {
  const wanted = taps.filter(isAttentionTap);
  return {
    name: "measure attention",
    layer,
    phase: "measure",
    run: {
      graph: (window) => sensitivityGraph(window, wanted),
      weights: "original",
      reads: { [HIDDEN_IN]: stream("before", layer) },
      writes: {},
      taps: wanted,
      limit: ATTENTION_WINDOWS,
    },
  };
}

/** The first half of the original block, with the moments of its projections. */
export function measureProjections(layer: number, taps: readonly Tap[]): Step {
  const wanted = taps.filter(isProjectionTap);
  return {
    name: "measure projections",
    layer,
    phase: "measure",
    run: {
      graph: ({ outputs, ...window }) =>
        measuredBlockGraph(window, wanted, outputs.length === 0 ? [] : [RESIDUAL_OUT]),
      weights: "original",
      reads: { [HIDDEN_IN]: stream("before", layer) },
      writes: { [RESIDUAL_OUT]: stream("between", layer) },
      taps: wanted,
    },
  };
}

/** The second half of the original block. */
export const finishOriginal = (layer: number, arrangement: Arrangement): Step => ({
  name: "finish original",
  layer,
  phase: "measure",
  run: {
    graph: (window) => ({ model: mlpGraph(window) }),
    weights: "original",
    reads: mlpReads("original", layer, arrangement),
    writes: { [HIDDEN_OUT]: stream("before", layer + 1) },
  },
});
