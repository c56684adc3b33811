import type { FoldSize } from "./progress.js";
import { type FoldSchedule, foldSchedule, type ScheduleFacts, stepsOf } from "./schedule.js";
import { windowsWithin } from "./text-share.js";

/** The size of a fold of which `blocks` blocks are finished already, over `windows` windows from window `first` of a text on. */
export function scheduleSize(facts: ScheduleFacts, blocks: number, windows: number, first = 0): FoldSize {
  const runsOf = (from: number) => windowRuns(foldSchedule(facts, from), windows, first);
  const total = runsOf(0);
  if (total === 0) return { unit: "block", total: facts.blocks.length, finished: blocks };
  return { unit: "window", total, finished: total - runsOf(blocks) };
}

/** How many windows go through graphs, with the embedding where the schedule starts from it. */
function windowRuns(schedule: FoldSchedule, windows: number, first: number): number {
  const runs = stepsOf(schedule).map(({ run }) =>
    run === undefined ? 0 : windowsWithin(run.limit, windows, first),
  );
  const embedding = schedule.given.some(({ layer }) => layer === 0) ? windows : 0;
  return runs.reduce((sum, count) => sum + count, embedding);
}
