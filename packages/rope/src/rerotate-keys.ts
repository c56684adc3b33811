import { applyRope } from "./apply-rope.js";
import { checkLength } from "./internal/check-shape.js";
import type { FloatArray } from "./internal/float-array.js";
import type { RopeFrequencies } from "./rope-parameters.js";
import {
  emptyTables,
  fillTables,
  type RopeTableArrays,
  type RopeTableDtype,
  type RopeTables,
  ropeTables,
} from "./rope-tables.js";

/** A set of tokens as some rotation left them or shall leave them. */
export interface RotatedAt extends RopeFrequencies {
  /** Position of each token. */
  readonly positions: ArrayLike<number>;
}

export declare namespace rerotationTables {
  interface Options<D extends RopeTableDtype = "float32"> {
    /** What the keys have gone through. */
    readonly from: RotatedAt;
    /** What they should have gone through. */
    readonly to: RotatedAt;
    /** Element type of the tables. Default `"float32"`. */
    readonly dtype?: D;
  }
}

/**
 * Tables that turn keys rotated one way into keys rotated another way, to be used with {@link applyRope}.
 *
 * Covers new positions, other frequencies (a dynamic NTK or LongRoPE model that outgrew a threshold while its keys were
 * cached) and taking the rotation off (`to`: positions 0, `attentionScaling` 1). Frequency j turns by
 * `to.positions · to.inverseFrequencies[j] - from.positions · from.inverseFrequencies[j]` and scales by
 * `to.attentionScaling / from.attentionScaling`, as cached keys carry the scaling already.
 *
 * Numerics: as {@link ropeTables}. Keys rotated twice are rounded twice: 1.8e-7 relative in float32.
 *
 * @returns `cos` and `sin`, `[tokens, rotaryDim / 2]` each.
 * @throws {RopeError} `shape-mismatch` when both sides differ in tokens or frequencies.
 *
 * @example
 * ```ts
 * import { rerotationTables } from "@kvfold/rope";
 *
 * const frequencies = { inverseFrequencies: new Float64Array([Math.PI / 2]), attentionScaling: 1.25 };
 * const tables = rerotationTables({
 *   from: { ...frequencies, positions: [7] },
 *   to: { ...frequencies, positions: [6] },
 * });
 * [tables.cos[0], tables.sin[0]] // => [0, -1]
 * ```
 */
export function rerotationTables<D extends RopeTableDtype = "float32">({
  from,
  to,
  dtype,
}: rerotationTables.Options<D>): RopeTables<RopeTableArrays[D]> {
  const width = from.inverseFrequencies.length;
  const length = from.positions.length;
  checkLength("rerotationTables", "to.inverseFrequencies", to.inverseFrequencies.length, width, "as from");
  checkLength("rerotationTables", "to.positions", to.positions.length, length, "as from");
  const tables = emptyTables<D>(length, width, dtype);
  fillTables(
    tables,
    to.attentionScaling / from.attentionScaling,
    (row, index) =>
      to.positions[row]! * to.inverseFrequencies[index]! -
      from.positions[row]! * from.inverseFrequencies[index]!,
  );
  return tables;
}

export declare namespace rerotateKeys {
  interface Options<A extends FloatArray = FloatArray> extends Omit<applyRope.Options<A>, "tables"> {
    /** Radians per token the keys were rotated with, `[rotaryDim / 2]`. */
    readonly inverseFrequencies: Float64Array;
    /** New minus old position of each token, `[tokens]`. */
    readonly deltas: ArrayLike<number>;
  }
}

/**
 * Moves rotated keys, `[..., tokens, heads, headDim]`, to other positions of the same model: what closing the gaps after
 * evicting tokens from a cache needs.
 *
 * Rotations add up, so a key moves by turning `deltas` further. The attention scaling of YaRN and LongRoPE is in the keys
 * once and stays there: it is no option here, and tables that contain it would apply it twice.
 *
 * Numerics: as {@link rerotationTables}.
 *
 * @returns The moved keys, of the shape of `keys`: `out` where given.
 * @throws {RopeError} As {@link applyRope}.
 *
 * @example
 * ```ts
 * import { rerotateKeys } from "@kvfold/rope";
 *
 * const keys = new Float32Array([1, 2, 3, 4]); // [tokens 2, heads 1, headDim 2]
 * const options = { inverseFrequencies: new Float64Array([Math.PI / 2]), deltas: [0, -1], heads: 1, headDim: 2 };
 * Array.from(rerotateKeys(keys, options)) // => [1, 2, 4, -3]
 * ```
 */
export function rerotateKeys<A extends FloatArray>(keys: A, options: rerotateKeys.Options<A>): A {
  const { inverseFrequencies, deltas, ...rest } = options;
  const dtype = keys instanceof Float64Array ? "float64" : "float32";
  return applyRope(keys, { ...rest, tables: ropeTables({ inverseFrequencies, positions: deltas, dtype }) });
}
