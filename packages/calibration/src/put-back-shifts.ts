import { unshiftProduct, unshiftSum } from "./shifted-sums.js";
import type { RowReference, StageReference } from "./stage-reference.js";
import type { StageResult } from "./stage-result.js";
import type { StageNames } from "./stage-totals.js";

/** The same sums about zero, in place. */
export function putBackShifts(
  { moments, crosses }: StageResult,
  names: StageNames,
  reference: StageReference,
): StageResult {
  const about = (name: string, sum: Float64Array) => ({ sum, shift: shiftOf(reference[name]) });
  const countOf = (rows: string) => moments[rows]!.count;
  return {
    crosses: Object.fromEntries(
      names.crosses.map(({ name, rows }) => {
        const { cross, sum } = crosses[name]!;
        const [y, z, count] = [about(rows, moments[rows]!.sum), about(name, sum), countOf(rows)];
        return [name, { cross: unshiftProduct(cross, y, z, count), sum: unshiftSum(z, count) }];
      }),
    ),
    moments: Object.fromEntries(
      names.moments.map(({ name }) => {
        const { gram, sum, count, width } = moments[name]!;
        const y = about(name, sum);
        return [name, { width, count, sum: unshiftSum(y, count), gram: unshiftProduct(gram, y, y, count) }];
      }),
    ),
  };
}

const shiftOf = (reference: RowReference | undefined): Float32Array | undefined =>
  reference?.shift == null ? undefined : Float32Array.from(reference.shift);
