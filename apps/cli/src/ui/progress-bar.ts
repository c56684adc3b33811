import { SingleBar } from "cli-progress";
import type { Progress } from "../jobs/job.js";

/** Shows how far a job is. */
export interface ProgressBar {
  readonly update: (progress: Progress) => void;
  /** Takes the bar off the screen. */
  readonly stop: () => void;
}

/** For those who want to see nothing. */
export const hiddenBar: ProgressBar = { update() {}, stop() {} };

/** A bar on a terminal; nothing at all on other streams. */
export function createProgressBar(stream: NodeJS.WriteStream): ProgressBar {
  if (stream.isTTY !== true) return hiddenBar;
  const bar = new SingleBar({
    stream,
    format: "{bar} {percentage}%  {duration_formatted}  {label}",
    barsize: 24,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    hideCursor: true,
    clearOnComplete: true,
    // Signals are ours: the bar must not end the process before the job has cleaned up.
    gracefulExit: false,
    // The clock shows that the job is alive where its steps are long.
    forceRedraw: true,
    fps: 5,
  });
  return {
    update({ label, done, total }) {
      if (!bar.isActive) bar.start(total, 0, { label });
      bar.setTotal(total);
      bar.update(Math.min(done, total), { label });
    },
    stop() {
      if (bar.isActive) bar.stop();
    },
  };
}
