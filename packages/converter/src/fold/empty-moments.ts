import type { StageMoments } from "@kvfold/calibration";
import type { ModelShape } from "@kvfold/decoder";
import { type Tap, tapSizes } from "../graph/taps.js";

/** Moments of no token: for a shard of a text whose windows all come after those that these taps are measured on. */
export const emptyMoments = (taps: readonly Tap[], shape: ModelShape): StageMoments =>
  Object.fromEntries(
    tapSizes(taps, shape).map(({ name, size }) => [
      name,
      { width: size, count: 0, sum: new Float64Array(size), gram: new Float64Array(size ** 2) },
    ]),
  );
