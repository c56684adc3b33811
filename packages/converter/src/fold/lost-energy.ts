import type { ModelConfig } from "@kvfold/decoder";
import {
  createMatrix,
  energyShares,
  type Matrix,
  type Moments,
  secondMoment,
  symmetricEigenvalues,
  trace,
} from "@kvfold/linalg";
import type { Side } from "../methods/method.js";
import type { Chunk } from "../plan/chunk.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import { type LayerShape, layerShape } from "../plan/layer-shape.js";
import { chunksOfPairs } from "./chunks-of-pairs.js";
import { groupMoments, turnedMoments } from "./joint-groups.js";

/**
 * Shares of the energy of a layer's keys and values that latents lose, one for each share of the cache that is kept. The
 * energies of all keys and of all values count half each, so that neither unit drowns the other.
 */
export interface LostEnergy {
  /** Keys after the rotation and values in latents of their own, over the whole layer (arXiv 2406.07056, figure 1). */
  readonly apart: readonly number[];
  /** Keys before the rotation, turned within the plan's chunks, and values in one latent for each group of heads. */
  readonly joint: readonly number[];
  /** The same with keys that are not turned at all (chunk 1); `null` where no key of the layer turns within chunks. */
  readonly unturned: readonly number[] | null;
}

export declare namespace lostEnergy {
  interface Options {
    readonly config: ModelConfig;
    /** Of a method with a joint latent: its chunks, spans and context count. */
    readonly plan: FoldPlan;
    readonly layer: number;
    /** Moments of the tap `keysAndValues`, `[2 * Hkv * d]` wide. */
    readonly keysAndValues: Moments;
    /** Shares of the cache that are kept, 0 to 1. */
    readonly fractions: readonly number[];
    /** Shares of the energy of rotated keys, and of values, in as large a part of their directions. */
    readonly kept: { readonly keys: readonly number[]; readonly values: readonly number[] };
  }
}

/**
 * What latents of a layer lose, by the second moments of keys and values (about zero), which chunks turn in closed form.
 *
 * Numerics: float64. Keys or values without any energy lose nothing.
 */
export function lostEnergy({ plan, fractions, kept, ...measured }: lostEnergy.Options): LostEnergy {
  const shape = layerShape(measured.config, measured.layer);
  const chunksBy = (chunk: Chunk) => chunksOfPairs(shape, { chunk, maxPositions: plan.maxPositions });
  const chunks = chunksBy(plan.chunk ?? 1);
  const span = plan.layers[measured.layer]!.keys.span;
  const lost = (sizes: readonly number[]) =>
    lostTogether(jointMoments(measured.keysAndValues, shape, span, sizes), fractions);
  return {
    apart: fractions.map((_, index) => 1 - (kept.keys[index]! + kept.values[index]!) / 2),
    joint: lost(chunks),
    unturned: chunks.some((size) => size > 1) ? lost(chunksBy(1)) : null,
  };
}

/** What all layers lose: the mean, since the energy of each layer is in a unit of its own. */
export function meanLostEnergy(layers: readonly LostEnergy[]): LostEnergy {
  const mean = (sharesOf: (layer: LostEnergy) => readonly number[]) =>
    sharesOf(layers[0]!).map((_, index) => {
      const total = layers.reduce((sum, layer) => sum + sharesOf(layer)[index]!, 0);
      return total / layers.length;
    });
  return {
    apart: mean(({ apart }) => apart),
    joint: mean(({ joint }) => joint),
    unturned: layers.every(({ unturned }) => unturned === null)
      ? null
      : mean(({ unturned, joint }) => unturned ?? joint),
  };
}

/** The second moments `[2 * s * d, 2 * s * d]` of each group of `span` heads, keys first. */
function jointMoments(
  keysAndValues: Moments,
  shape: LayerShape,
  span: number,
  chunks: readonly number[],
): readonly Matrix[] {
  const size = span * shape.headDim;
  return Array.from({ length: shape.kvHeads / span }, (_, group) => {
    const early = groupMoments(keysAndValues, group * size, size);
    return secondMoment(turnedMoments(early, shape, span, chunks));
  });
}

/** The share that one latent for each group loses, where every group keeps the same part of its directions. */
function lostTogether(groups: readonly Matrix[], fractions: readonly number[]): readonly number[] {
  const [keys, values] = [energyOf(groups, "keys"), energyOf(groups, "values")];
  const weighed = groups.map((group) => {
    const even = inEvenUnits(group, keys, values);
    return { energy: trace(even), kept: energyShares(symmetricEigenvalues(even), fractions) };
  });
  const total = weighed.reduce((sum, { energy }) => sum + energy, 0);
  return fractions.map((_, index) => {
    const lost = weighed.reduce((sum, { energy, kept }) => sum + energy * (1 - kept[index]!), 0);
    return total === 0 ? 0 : lost / total;
  });
}

/** The energy of one half of the columns of all groups. */
function energyOf(groups: readonly Matrix[], side: Side): number {
  let energy = 0;
  for (const { rows: width, data } of groups) {
    const start = side === "keys" ? 0 : width / 2;
    for (let i = start; i < start + width / 2; i++) energy += data[i * width + i]!;
  }
  return energy;
}

/** A moment with keys and values in units in which both have the energy 1. */
function inEvenUnits({ rows: width, data }: Matrix, keys: number, values: number): Matrix {
  const units = [keys, values].map((energy) => (energy > 0 ? 1 / Math.sqrt(energy) : 0));
  const unitOf = (index: number) => units[index < width / 2 ? 0 : 1]!;
  const even = data.map((value, at) => value * unitOf(Math.floor(at / width)) * unitOf(at % width));
  return createMatrix(width, width, even);
}
