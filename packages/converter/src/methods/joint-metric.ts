import { createMatrix, type Matrix } from "@kvfold/linalg";
import type { JointGroup } from "./method.js";
import { atAllAngles, scoreMetric } from "./metrics.js";
import { type Tempering, temperWithinLayer } from "./tempering.js";

/**
 * What an error in the unturned keys of each KV head costs, `[d, d]` each: the expected squared error of the layer's output,
 * the unit of `outputMetric`, so that keys and values can share a latent.
 */
export function unturnedKeyMetric(
  group: JointGroup,
  temper: Tempering = temperWithinLayer,
): readonly Matrix[] {
  const { headDim, rotaryDim, keyGains, normGains } = group;
  return scoreMetric(group, temper).map((metric, head) => {
    const behindNorm = normGains?.subarray(head * headDim, (head + 1) * headDim);
    const turned = behindNorm === undefined ? metric : weighted(metric, behindNorm);
    return weighted(atAllAngles(turned, rotaryDim), keyGains);
  });
}

/** `G M G` with `G` the diagonal matrix of the gains. */
function weighted({ rows: size, data }: Matrix, gains: Float64Array): Matrix {
  const weigh = (value: number, at: number) => value * gains[Math.floor(at / size)]! * gains[at % size]!;
  return createMatrix(size, size, data.map(weigh));
}
