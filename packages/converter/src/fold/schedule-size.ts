import type { FoldSize } from "./progress.js";
import { type FoldSchedule, foldSchedule, type ScheduleFacts, stepsOf } from "./schedule.js";

/** The size of a fold of which `blocks` blocks are finished already, over `windows` windows. */
export function scheduleSize(facts: ScheduleFacts, blocks: number, windows: number): FoldSize {
  const total = windowRuns(foldSchedule(facts, 0), windows);
  if (total === 0) return { unit: "block", total: facts.blocks.length, finished: blocks };
  return { unit: "window", total, finished: total - windowRuns(foldSchedule(facts, blocks), windows) };
}

/** How many windows go through graphs, with the embedding where the schedule starts from it. */
function windowRuns(schedule: FoldSchedule, windows: number): number {
  const runs = stepsOf(schedule).map(({ run }) =>
    run === undefined ? 0 : Math.min(run.limit ?? windows, windows),
  );
  const embedding = schedule.given.some(({ layer }) => layer === 0) ? windows : 0;
  return runs.reduce((sum, count) => sum + count, embedding);
}
