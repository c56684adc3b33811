import type { Arrangement } from "@kvfold/decoder";
import { HIDDEN_IN } from "@kvfold/decoder/graph";
import { BLOCK_IN } from "../graph/calibration-graphs.js";
import type { Streams } from "./step.js";
import type { Stream } from "./stream.js";

/** What the second half of a block reads: the stream between the halves and, for a parallel MLP, that before the block. */
export function mlpReads(model: Stream["model"], layer: number, arrangement: Arrangement): Streams {
  const between = { [HIDDEN_IN]: { model, place: "between", layer } as const };
  return arrangement === "parallel" ? { ...between, [BLOCK_IN]: { model, place: "before", layer } } : between;
}
