import { disableTelemetry } from "./disable-telemetry.js";
import { createProgram } from "./program.js";
import { watchInterrupts } from "./ui/interrupts.js";
import { printError } from "./ui/print-error.js";
import { createTerminalHost } from "./ui/terminal-host.js";

disableTelemetry();

const arguments_ = process.argv.slice(2);
const interrupts = watchInterrupts();

try {
  await createProgram(createTerminalHost(interrupts)).parseAsync(arguments_, { from: "user" });
} catch (error) {
  process.exitCode = printError(error, {
    // The parser itself may have failed, so the flags are looked for where they were typed.
    json: arguments_.includes("--json"),
    verbose: arguments_.includes("--verbose") || process.env.KVFOLD_DEBUG !== undefined,
    interrupts,
    stream: process.stderr,
  });
}
