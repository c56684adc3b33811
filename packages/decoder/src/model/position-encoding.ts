import { ropeFrequencies, ropeParameters, ropeTables } from "@kvfold/rope";
import type { ModelConfig } from "../checkpoint/read-config.js";
import { alibiSlopes } from "./alibi.js";
import type { RopeTables } from "./rope-tables.js";

/** How a model's attention learns of positions, as tables. */
export interface PositionEncoding {
  readonly rope: RopeTables | undefined;
  /** `[H]`. */
  readonly alibiSlopes: Float32Array | undefined;
}

/** The position tables of a model for contexts of up to `length` tokens. */
export function positionEncoding({ family, shape, fields }: ModelConfig, length: number): PositionEncoding {
  if (family.positions === "alibi") return { rope: undefined, alibiSlopes: alibiSlopes(shape.heads) };
  const parameters = ropeParameters({ ...fields, head_dim: shape.headDim });
  return { rope: ropeTables({ ...ropeFrequencies(parameters, length), length }), alibiSlopes: undefined };
}
