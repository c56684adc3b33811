import { type Shard, shardName } from "@kvfold/calibration";
import { formatBytes } from "@kvfold/runtime";
import type { ComparedFold, Comparison, GoalReport, LossReport } from "../goals/goal.js";
import type { foldCheckpoint } from "../jobs/fold.js";
import type { Colours } from "../ui/terminal.js";
import { formatPercent, formatSeconds } from "./format.js";
import { describeKeptShare } from "./kept-share.js";
import { renderPairs } from "./table.js";

/** What a goal led to: what was measured, and what the choice was among. */
function goalRows(goal: GoalReport | undefined): readonly (readonly [string, string])[] {
  if (goal === undefined) return [];
  const { compared } = goal;
  return [
    ...("maxLoss" in goal ? [["perplexity", describeLoss(goal)] as const] : []),
    ...(compared === undefined ? [] : [["compared", describeComparison(compared)] as const]),
  ];
}

const describeLoss = ({ loss, maxLoss, heldOut, tried }: LossReport): string =>
  `${formatPercent(loss)} more on ${heldOut.windows} held-out windows (at most ${formatPercent(maxLoss)}; ${tried.length} ${tried.length === 1 ? "fold" : "folds"})`;

const describeComparison = ({ windows, candidates }: Comparison): string =>
  `${candidates.map(describeCompared).join(", ")} (short folds on ${windows} windows)`;

const describeCompared = ({ method, budget, loss, estimate }: ComparedFold): string =>
  `${method} with ${budget} ${loss === undefined ? `about ${formatPercent(estimate)}, not tried` : formatPercent(loss)}`;

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
    ...goalRows(goal),
    ["cache per token", `${formatBytes(before)} -> ${formatBytes(after)}`],
    ["time", formatSeconds(seconds)],
    ["peak memory", formatBytes(peakBytes)],
  ]);
  return `${bold(output)}\n${pairs}`;
}
