import { shardName } from "@kvfold/calibration";
import type { measureMoments } from "../jobs/measure.js";
import type { mergeMomentFiles } from "../jobs/merge-moments.js";
import type { Colours } from "../ui/terminal.js";
import { formatSeconds } from "./format.js";
import { renderPairs } from "./table.js";

/** What was measured, as text. */
export function renderMeasured(
  { output, shard, windows, totalWindows, taps, seconds }: measureMoments.Result,
  { bold }: Colours,
): string {
  const pairs = renderPairs([
    ...(shard === undefined ? [] : [["shard", shardName(shard)] as const]),
    ["windows", shard === undefined ? String(windows) : `${windows} of ${totalWindows}`],
    ["measured", taps.join(", ")],
    ["time", formatSeconds(seconds)],
  ]);
  return `${bold(output)}\n${pairs}`;
}

/** What was merged, as text. */
export function renderMerged(
  { output, shards, windows, layers }: mergeMomentFiles.Result,
  { bold }: Colours,
): string {
  const pairs = renderPairs([
    ["shards", String(shards)],
    ["windows", String(windows)],
    ["layers", String(layers)],
  ]);
  return `${bold(output)}\n${pairs}`;
}
