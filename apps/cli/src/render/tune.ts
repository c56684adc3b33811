import { formatBytes } from "@kvfold/runtime";
import type { tuneFolded } from "../jobs/tune.js";
import type { Colours } from "../ui/terminal.js";
import { formatSeconds } from "./format.js";
import { renderPairs } from "./table.js";

/** The result of a tuning, as text. */
export function renderTuning(
  { output, steps, kept, stoppedEarly, losses, heldOut, windows, seconds, peakBytes }: tuneFolded.Result,
  { bold }: Colours,
): string {
  const change = ([before, after]: readonly [number, number]) =>
    `${before.toFixed(4)} -> ${after.toFixed(4)} nats per token`;
  const pairs = renderPairs([
    [
      "steps",
      `${steps}${stoppedEarly ? ", stopped early" : ""}${kept === steps ? "" : `, kept step ${kept}`}`,
    ],
    ["windows", String(windows)],
    ["loss", change(losses)],
    ...(heldOut === undefined ? [] : [["held-out loss", change(heldOut)] as const]),
    ["time", formatSeconds(seconds)],
    ["peak memory", formatBytes(peakBytes)],
  ]);
  return `${bold(output)}\n${pairs}`;
}
