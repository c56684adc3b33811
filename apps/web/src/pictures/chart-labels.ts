/** Largest size of a chart's labels, that of phones in `charts.css`, in units of the chart's view box. */
export const LABEL_SIZE = 17;

/** Mean width of a label's characters relative to that size: in a wide system font a digit has 0.64 and a percent sign 0.95. */
const CHARACTER = 0.65;

/** Height of a line of digits, which have nothing below their base line. */
const LINE = 0.8 * LABEL_SIZE;

/** From the end of a label to the axis. */
export const LABEL_GAP = 6;

/** Room on the left of a chart for labels that end beside its vertical axis. */
export const labelRoom = (labels: readonly string[]): number =>
  Math.ceil(LABEL_GAP + LABEL_SIZE * CHARACTER * Math.max(0, ...labels.map(({ length }) => length)));

/** The ticks, first to last, whose labels do not overlap that of an earlier one. `position` says how high a tick is drawn. */
export function spacedTicks(ticks: readonly number[], position: (tick: number) => number): readonly number[] {
  const kept: number[] = [];
  for (const tick of ticks) {
    const last = kept.at(-1);
    if (last === undefined || Math.abs(position(tick) - position(last)) >= LINE) kept.push(tick);
  }
  return kept;
}
