import { formatBytes } from "@kvfold/runtime";
import type { foldCheckpoint } from "../jobs/fold.js";
import type { Colours } from "../ui/terminal.js";
import { formatSeconds } from "./format.js";
import { describeKeptShare } from "./kept-share.js";
import { renderPairs } from "./table.js";

/** The result of a fold, as text. */
export function renderFold(
  { output, plan, seconds, peakBytes, cacheBytesPerToken }: foldCheckpoint.Result,
  { bold }: Colours,
): string {
  const { before, after } = cacheBytesPerToken;
  const pairs = renderPairs([
    [
      "method",
      `${plan.method}, keep ${plan.keep}${plan.budget === "uniform" ? "" : `, budget ${plan.budget}`}`,
    ],
    ...plan.notices.map((notice) => ["note", notice] as const),
    ["cache kept", describeKeptShare(plan)],
    ["cache per token", `${formatBytes(before)} -> ${formatBytes(after)}`],
    ["time", formatSeconds(seconds)],
    ["peak memory", formatBytes(peakBytes)],
  ]);
  return `${bold(output)}\n${pairs}`;
}
