import { type Shard, shardName } from "@kvfold/calibration";
import { formatBytes } from "@kvfold/runtime";
import type { LossReport } from "../goals/goal.js";
import type { foldCheckpoint } from "../jobs/fold.js";
import type { Colours } from "../ui/terminal.js";
import { formatPercent, formatSeconds } from "./format.js";
import { describeKeptShare } from "./kept-share.js";
import { renderPairs } from "./table.js";

const describeGoal = ({ loss, maxLoss, heldOut, tried }: LossReport): string =>
  `${formatPercent(loss)} more on ${heldOut.windows} held-out windows (at most ${formatPercent(maxLoss)}; ${tried.length} ${tried.length === 1 ? "fold" : "folds"})`;

const describeShard = (shard: Shard): string =>
  shard.index === 1 ? shardName(shard) : `${shardName(shard)}; shard 1/${shard.count} writes the output`;

/** The result of a fold, as text. */
export function renderFold(
  { output, shard, plan, seconds, peakBytes, cacheBytesPerToken, goal }: foldCheckpoint.Result,
  { bold }: Colours,
): string {
  const { before, after } = cacheBytesPerToken;
  const pairs = renderPairs([
    ...(shard === undefined ? [] : [["shard", describeShard(shard)] as const]),
    [
      "method",
      `${plan.method}, keep ${plan.keep}${plan.budget === "uniform" ? "" : `, budget ${plan.budget}`}`,
    ],
    ...plan.notices.map((notice) => ["note", notice] as const),
    ["cache kept", describeKeptShare(plan)],
    ...(goal === undefined ? [] : [["perplexity", describeGoal(goal)] as const]),
    ["cache per token", `${formatBytes(before)} -> ${formatBytes(after)}`],
    ["time", formatSeconds(seconds)],
    ["peak memory", formatBytes(peakBytes)],
  ]);
  return `${bold(output)}\n${pairs}`;
}
