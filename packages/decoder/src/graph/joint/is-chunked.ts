import type { JointLatent } from "../../model/decoder-weights.js";

/** Whether keys are turned within chunks before they are encoded; they enter the latent unturned otherwise. */
export const isChunked = ({ chunks }: Pick<JointLatent, "chunks">): boolean =>
  chunks.some((slots) => slots > 1);
