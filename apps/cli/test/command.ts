/** The command as users have it: the build, in a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

export const main: string = fileURLToPath(new URL("../dist/main.js", import.meta.url));
/** Tests of the build are skipped where there is none. */
export const isBuilt: boolean = existsSync(main);

export interface Outcome {
  /** As shells report it: 128 and the signal's number where one ended the process. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a process whose temporary folders go to `temporary`. */
export function start(
  command: string,
  args: readonly string[],
  temporary: string,
  environment: NodeJS.ProcessEnv = {},
): ChildProcess {
  const env = { ...process.env, TMPDIR: temporary, NODE_OPTIONS: "", ...environment };
  return spawn(command, args, { env });
}

/** What a process prints until it ends, and how it ends. */
export async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]!.setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
    });
  }
  const [code, signal] = (await once(child, "close")) as [number, null] | [null, NodeJS.Signals];
  return { code: code ?? 128 + constants.signals[signal], ...output };
}
