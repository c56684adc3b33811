import type { StageResult } from "./stage-result.js";

/**
 * What the sums of a stage are taken about, found in its first window: plain data, as JSON has it. Parts of a text that are summed
 * about the same reference add up to the bits of the whole.
 */
export type StageReference = Readonly<Record<string, RowReference>>;

/** What the sums of one name are taken about. */
export interface RowReference {
  /** What they are shifted by `[W]`; `null` where the graph takes no shift. */
  readonly shift: readonly number[] | null;
  /** The powers of two `[W]` that rows are about as large as, for the grid of their sums; `null` where sums stay on a device. */
  readonly exponents: readonly number[] | null;
}

/** How processes that share the windows of a text get one sum. */
export interface StageShare {
  /** The reference of the part that has the first window, which finds it by `find`. */
  agree(find: () => Promise<StageReference>): Promise<StageReference>;
  /** The sum of all parts. Sums are about the shifts of the reference. */
  complete(own: StageResult): Promise<StageResult>;
}
