import { ropeParameters } from "./rope-config.js";
import { ropeFrequencies } from "./rope-frequencies.js";
import { type RopeTableArrays, type RopeTableDtype, type RopeTables, ropeTables } from "./rope-tables.js";

export declare namespace ropeTablesFromConfig {
  interface Options<D extends RopeTableDtype = "float32"> extends ropeParameters.Options {
    /** Number of positions, from 0 on. `dynamic` and `longrope` choose their frequencies by it. */
    readonly length: number;
    /** Element type of the tables. Default `"float32"`. */
    readonly dtype?: D;
  }
}

/**
 * The rotation tables of a Hugging Face `config.json` in one call: {@link ropeParameters}, then {@link ropeFrequencies}
 * at `length`, then {@link ropeTables}.
 *
 * Numerics: as {@link ropeTables}.
 *
 * @returns `cos` and `sin`, `[length, rotaryDim / 2]` each.
 * @throws {RopeError} as these three.
 *
 * @example
 * ```ts
 * import { ropeTablesFromConfig } from "@kvfold/rope";
 *
 * const tables = ropeTablesFromConfig({ head_dim: 4, rope_theta: 10_000 }, { length: 2 });
 * Array.from(tables.cos, (value) => Number(value.toFixed(4))) // => [1, 1, 0.5403, 0.9999]
 * ```
 */
export function ropeTablesFromConfig<D extends RopeTableDtype = "float32">(
  config: object,
  { length, dtype, ...options }: ropeTablesFromConfig.Options<D>,
): RopeTables<RopeTableArrays[D]> {
  const frequencies = ropeFrequencies(ropeParameters(config, options), length);
  return ropeTables<D>({ ...frequencies, length, ...(dtype === undefined ? {} : { dtype }) });
}
