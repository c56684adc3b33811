import type { BlockWeights } from "@kvfold/decoder";
import { type BlockMap, type BlockPart, blockMaps, changeMaps } from "@kvfold/decoder/graph";
import { createRandom } from "@kvfold/runtime";
import { TuningError } from "./tuning-error.js";

/** Numbers that are trained. */
export interface Parameter {
  readonly name: string;
  readonly dims: readonly number[];
  readonly values: Float32Array;
}

/**
 * A low-rank addition to one linear map (Hu et al., "LoRA", 2021): `x W` becomes `x W + scale (x A) B`. Maps of several
 * matrices have as many of A and B.
 */
export interface Adapter {
  /** The initializer of the map in a graph of its block, as `BlockMap` names it. */
  readonly weight: string;
  /** A, `[…, inputs, rank]`. */
  readonly down: Parameter;
  /** B, `[…, rank, outputs]`. */
  readonly up: Parameter;
}

/** Which maps get adapters, and of what size. */
export interface AdapterOptions {
  /** Rank of the additions; smaller maps have as much as their smaller side. */
  readonly rank: number;
  readonly parts: readonly BlockPart[];
  readonly seed: number;
}

/** The parts of a block that can have adapters: all of them. */
export const ADAPTED_PARTS: readonly BlockPart[] = [
  "query",
  "key",
  "value",
  "output",
  "gate",
  "up",
  "down",
  "latents",
];

/**
 * New adapters of a block. A is drawn uniformly within `1 / sqrt(inputs)` and B is zero, so that they change nothing yet. The
 * same seed, layer and shapes give the same numbers.
 */
export function createAdapters(
  block: BlockWeights,
  layer: number,
  { rank, parts, seed }: AdapterOptions,
): readonly Adapter[] {
  const random = createRandom(seed * 65_537 + layer);
  return blockMaps(block)
    .filter(({ part }) => parts.includes(part))
    .map((map) => createAdapter(map, rank, random));
}

function createAdapter({ name, dims }: BlockMap, wanted: number, random: () => number): Adapter {
  const [outer, inputs, outputs] = [dims.slice(0, -2), dims.at(-2)!, dims.at(-1)!];
  const rank = Math.min(wanted, inputs, outputs);
  const bound = 1 / Math.sqrt(inputs);
  const parameter = (part: string, sides: readonly number[], value: () => number): Parameter => {
    const length = [...outer, ...sides].reduce((product, dim) => product * dim, 1);
    return {
      name: `${name}.${part}`,
      dims: [...outer, ...sides],
      values: Float32Array.from({ length }, value),
    };
  };
  return {
    weight: name,
    down: parameter("down", [inputs, rank], () => bound * (2 * random() - 1)),
    up: parameter("up", [rank, outputs], () => 0),
  };
}

/** The parameters of adapters, in order. */
export const parametersOf = (adapters: readonly Adapter[]): readonly Parameter[] =>
  adapters.flatMap(({ down, up }) => [down, up]);

/**
 * A block whose maps have their adapters added: `W + scale A B`.
 *
 * Numerics: products and sums in float64, rounded to float32 once.
 *
 * @throws {TuningError} `unusable-state` for adapters of another block.
 */
export function mergeAdapters(
  block: BlockWeights,
  adapters: readonly Adapter[],
  scale: number,
): BlockWeights {
  const byWeight = new Map(adapters.map((adapter) => [adapter.weight, adapter]));
  const maps = new Map(blockMaps(block).map(({ name, dims }) => [name, dims]));
  for (const adapter of adapters) requireFit(adapter, maps.get(adapter.weight));
  return changeMaps(block, ({ name, data }) => {
    const adapter = byWeight.get(name);
    return adapter === undefined ? data : addProduct(data, adapter, scale);
  });
}

function requireFit({ weight, down, up }: Adapter, dims: readonly number[] | undefined): void {
  const sides = [...down.dims.slice(0, -1), up.dims.at(-1)!];
  if (dims?.join() === sides.join()) return;
  const expected = dims === undefined ? "the block has no such map" : `its map is [${dims.join(", ")}]`;
  throw new TuningError(
    "unusable-state",
    `adapter of ${weight}: it adds to a map of [${sides.join(", ")}], and ${expected}; use the adapters that were tuned for this model`,
  );
}

function addProduct(weight: Float32Array, { down, up }: Adapter, scale: number): Float32Array {
  const [inputs, rank, outputs] = [down.dims.at(-2)!, down.dims.at(-1)!, up.dims.at(-1)!];
  const merged = new Float32Array(weight.length);
  const row = new Float64Array(outputs);
  for (let index = 0; index < weight.length / outputs; index++) {
    const first = Math.floor(index / inputs) * rank * outputs;
    row.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = scale * down.values[index * rank + k]!;
      const from = first + k * outputs;
      for (let column = 0; column < outputs; column++) row[column]! += factor * up.values[from + column]!;
    }
    const at = index * outputs;
    for (let column = 0; column < outputs; column++)
      merged[at + column] = weight[at + column]! + row[column]!;
  }
  return merged;
}
