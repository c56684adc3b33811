/** Loaded when it is first needed: it knows the families and methods, which are no small download. */
import { type FittedContext, fitContext } from "@kvfold/converter";
import { type Dtype, readConfig } from "@kvfold/decoder";

export interface FitQuestion {
  readonly limit: fitContext.Options["limit"];
  /** What the weights are stored in. */
  readonly dtype: Dtype;
}

/** What fits, for the model of a config. */
export interface Fit {
  readonly family: string;
  /** The model's own context, in tokens. */
  readonly maxPositions: number;
  readonly weightBytes: number;
  /** A row for each share of the cache. */
  readonly rows: readonly FitRow[];
}

export interface FitRow {
  readonly keep: string;
  /** With the cache in the float type of the weights, and in int8. */
  readonly whole: FittedContext;
  readonly int8: FittedContext;
}

/**
 * The same calculation as `kvfold fit`.
 *
 * @param config - The text of `config.json`.
 * @throws {DecoderError} `unsupported-model` or `malformed-checkpoint`; `ConverterError` for a limit that is not above 0.
 */
export function calculateFit(config: string, { limit, dtype }: FitQuestion): Fit {
  const model = readConfig(config);
  const found = fitContext(model, { limit, dtypes: [dtype] });
  const keeps = [...new Set(found.map(({ keep }) => keep))];
  return {
    family: model.family.name,
    maxPositions: model.shape.maxPositions,
    weightBytes: found[0]!.weightBytes,
    rows: keeps.map((keep) => {
      const ofKeep = found.filter((row) => row.keep === keep);
      const [int8, whole] = [true, false].map(
        (is) => ofKeep.find((row) => (row.cacheType === "int8") === is)!,
      );
      return { keep, whole: whole!, int8: int8! };
    }),
  };
}
