import type { CommandHost } from "../commands/host.js";
import { runInWorker } from "../worker/run-in-worker.js";
import type { Interrupts } from "./interrupts.js";
import { printable } from "./printable.js";
import { createProgressBar, hiddenBar } from "./progress-bar.js";
import type { StandardOutput } from "./standard-output.js";
import { coloursFor } from "./terminal.js";

/** Runs jobs in a worker, with progress on standard error and results on standard output. */
export const createTerminalHost = (interrupts: Interrupts, { write }: StandardOutput): CommandHost => ({
  colours: coloursFor(process.stdout),
  write,
  run(name, options, { quiet, onText = () => {} }) {
    const bar = quiet ? hiddenBar : createProgressBar(process.stderr);
    const result = runInWorker(name, options, {
      onProgress: bar.update,
      onText(text) {
        // Text and bar would write over each other.
        bar.stop();
        onText(text);
      },
      onNotice(text) {
        bar.stop();
        process.stderr.write(`${printable(text)}\n`);
      },
      interrupts,
    });
    return result.finally(bar.stop);
  },
});
