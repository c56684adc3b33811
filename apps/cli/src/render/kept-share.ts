import { formatPercent } from "./format.js";

/** Differences below this are of no consequence to anyone: they are not pointed out. */
const NOTABLE = 0.03;

/** The share of the cache that is kept, and how far it is from what was asked for where that is more than a little. */
export function describeKeptShare({
  keep,
  achieved,
}: {
  readonly keep: string;
  readonly achieved: number;
}): string {
  const [top, bottom = 1] = keep.split("/").map(Number);
  const excess = (achieved * bottom) / top! - 1;
  const kept = formatPercent(achieved);
  if (Math.abs(excess) < NOTABLE) return kept;
  const difference = `${formatPercent(Math.abs(excess))} ${excess > 0 ? "more" : "less"} than asked`;
  return `${kept} (${difference}: the nearest whole ranks that suit the attention operator)`;
}
