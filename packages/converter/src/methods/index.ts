import { findNamed } from "../find-named.js";
import { commuting, commutingReallocated } from "./commuting.js";
import { eigenAttention } from "./eigen-attention.js";
import { latent } from "./latent.js";
import { latentPreRope } from "./latent-pre-rope.js";
import { lorc } from "./lorc.js";
import { mean } from "./mean.js";
import type { Method } from "./method.js";
import { none } from "./none.js";
import { paper } from "./paper.js";
import { random } from "./random.js";
import { svdA } from "./svd-a.js";
import { svdW } from "./svd-w.js";

/** All methods, baselines first. */
export const methods: readonly Method[] = [
  none,
  random,
  mean,
  svdW,
  svdA,
  paper,
  lorc,
  eigenAttention,
  commuting,
  commutingReallocated,
  latent,
  latentPreRope,
];

/** The method used when none is named. */
export const DEFAULT_METHOD: string = latent.name;

/**
 * The method of that name.
 *
 * @throws {ConverterError} `invalid-option` when there is none.
 */
export const findMethod = (name: string): Method => findNamed("method", methods, name);
