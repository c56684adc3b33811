import type { AttentionWeights, JointLatent } from "../../model/decoder-weights.js";
import type { CodedShape } from "./coded-shape.js";
import { type LatentUnits, latentUnits } from "./latent-units.js";
import { meanLatents } from "./mean-latents.js";

/** The units of a layer's latents; `undefined` where nothing is known of them, and they are coded as they are. */
export function unitsOf(
  attention: AttentionWeights,
  joint: JointLatent,
  shape: CodedShape,
): LatentUnits | undefined {
  const means = meanLatents(attention, joint);
  return means && latentUnits(means, joint.statistics!.costs, shape);
}
