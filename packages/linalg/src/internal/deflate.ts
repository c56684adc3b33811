/**
 * Which eigenpairs of two halves survive their coupling unchanged. A pair does where its component of `z` is
 * negligible, or where another has nearly the same eigenvalue: a rotation then moves all of `z` to the other.
 * J. Dongarra and D. Sorensen, "A fully parallel algorithm for the symmetric eigenvalue problem", 1987, section 4.
 */

import { leastSize } from "./least-size.js";
import { ascending } from "./order.js";

/** `first' = c · first + s · second`, `second' = c · second - s · first`. */
export interface Rotation {
  readonly first: number;
  readonly second: number;
  readonly c: number;
  readonly s: number;
}

export interface Deflation {
  /** Indices that take part in the coupling, by ascending value. */
  readonly active: readonly number[];
  /** Indices that do not. */
  readonly settled: readonly number[];
  /** To be made to the vectors, in this order. */
  readonly rotations: readonly Rotation[];
}

/** Overwrites `values` and `z` as the rotations change them; `weight` is `ρ` of `diag(values) + ρ z zᵀ`. */
export function deflate(values: Float64Array, z: Float64Array, weight: number): Deflation {
  const size = Math.max(largest(values), weight * largest(z), leastSize);
  const tolerance = 4 * Number.EPSILON * size;
  const active: number[] = [];
  const settled: number[] = [];
  const rotations: Rotation[] = [];
  for (const next of ascending(values)) {
    if (weight * Math.abs(z[next]!) <= tolerance) {
      settled.push(next);
      continue;
    }
    const previous = active.at(-1);
    const rotation = previous === undefined ? undefined : merge(values, z, previous, next, tolerance);
    if (rotation !== undefined) {
      rotations.push(rotation);
      settled.push(active.pop()!);
    }
    active.push(next);
  }
  return { active, settled, rotations };
}

/** Moves `z[first]` to `z[second]`, if the values are so close that the coupling this makes between them is negligible. */
function merge(
  values: Float64Array,
  z: Float64Array,
  first: number,
  second: number,
  tolerance: number,
): Rotation | undefined {
  const length = Math.hypot(z[first]!, z[second]!);
  const c = z[second]! / length;
  const s = -z[first]! / length;
  if (Math.abs((values[second]! - values[first]!) * c * s) > tolerance) return undefined;
  const [low, high] = [values[first]!, values[second]!];
  values[first] = low * c * c + high * s * s;
  values[second] = low * s * s + high * c * c;
  z[first] = 0;
  z[second] = length;
  return { first, second, c, s };
}

const largest = (values: Float64Array): number =>
  values.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);
