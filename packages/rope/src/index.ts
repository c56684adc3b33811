export { applyRope } from "./apply-rope.js";
export { convertLayout, layoutPermutation } from "./convert-layout.js";
export type { FloatArray } from "./internal/float-array.js";
export { type ComplexArray, type MeanTurns, meanTurns } from "./mean-turns.js";
export { permuteColumns, permuteRows } from "./permute-matrix.js";
export { type RotatedAt, rerotateKeys, rerotationTables } from "./rerotate-keys.js";
export { ropeParameters } from "./rope-config.js";
export { RopeError, type RopeErrorCode } from "./rope-error.js";
export { ropeFrequencies } from "./rope-frequencies.js";
export type { RopeLayout } from "./rope-layout.js";
export type {
  Llama3Scaling,
  LongropeScaling,
  RopeFrequencies,
  RopeGeometry,
  RopeParameters,
  RopeScalings,
  RopeType,
  YarnScaling,
} from "./rope-parameters.js";
export { type RopeTableArrays, type RopeTableDtype, type RopeTables, ropeTables } from "./rope-tables.js";
export { ropeTablesFromConfig } from "./rope-tables-from-config.js";
