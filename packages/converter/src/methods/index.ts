import { findNamed, requireOwnName } from "../find-named.js";
import { anchored } from "./anchored.js";
import { commuting, commutingReallocated } from "./commuting.js";
import { eigenAttention } from "./eigen-attention.js";
import { latent } from "./latent.js";
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
  anchored,
];

/** The method used when none is named. */
export const DEFAULT_METHOD: string = anchored.name;

/**
 * The method of that name, among those of this package and `others`.
 *
 * @throws {ConverterError} `invalid-option` when there is none, or when one of `others` takes the name of another.
 */
export const findMethod = (name: string, others: readonly Method[] = []): Method =>
  findNamed("method", methods, name, others);

/** A method by its name, or as it is when it comes from elsewhere. */
export const resolveMethod = (given: string | Method): Method =>
  typeof given === "string" ? findMethod(given) : requireOwnName("method", methods, given);
