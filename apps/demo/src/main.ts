import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { disableTelemetry, type JobContext, quietContext } from "kvfold/jobs";
import { runDemo } from "./demo.js";

const INTERRUPTED_EXIT_CODE = 130;

disableTelemetry();
let interrupted = false;
const interrupt = () => {
  interrupted = true;
};
process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
process.stdout.on("error", interrupt);
const context: JobContext = {
  ...quietContext,
  signal: {
    get aborted() {
      return interrupted;
    },
  },
};

const folder = await mkdtemp(join(tmpdir(), "kvfold-demo-"));
try {
  await runDemo({ folder, context, write: (text) => void process.stdout.write(text) });
} catch (error) {
  if (!interrupted) throw error;
  process.exitCode = INTERRUPTED_EXIT_CODE;
} finally {
  await rm(folder, { recursive: true, force: true });
}
