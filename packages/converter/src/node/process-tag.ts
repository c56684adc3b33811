import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** Whether the process that made something still runs: `unknown` for processes of another machine or container. */
export type ProcessState = "running" | "ended" | "unknown";

const TAG = /^([0-9a-f]{8})-([0-9a-f]{8})-(\d+)-([0-9a-z]+)$/;
/** A tag inside a longer name. */
export const TAG_PATTERN = "[0-9a-f]{8}-[0-9a-f]{8}-\\d+-[0-9a-z]+";

/**
 * A name of this process that fits into file names: the machine, its boot, the process id, and when the process
 * started. The last tells it from a later process with the same id.
 */
export function processTag(): string {
  return [machine(), boot(), process.pid, startOf(process.pid) ?? UNKNOWN_START].join("-");
}

/** Whether the process with this tag still runs. */
export function stateOf(tag: string): ProcessState {
  const [, itsMachine, itsBoot, pid, start] = TAG.exec(tag) ?? [];
  if (itsMachine !== machine()) return "unknown";
  if (itsBoot !== boot() || !isRunning(Number(pid))) return "ended";
  const found = startOf(Number(pid));
  return found === undefined || start === UNKNOWN_START || found === start ? "running" : "ended";
}

/** The process id in a tag. */
export const pidOf = (tag: string): number => Number(TAG.exec(tag)?.[3]);

const UNKNOWN_START = "0";

/** Process ids mean something within one namespace of one machine. */
const machine = (): string => digest(`${hostname()}\n${readlink("/proc/self/ns/pid")}`);

/** Systems without this file get along with process ids: those of before the last boot are seldom in use again. */
const boot = (): string => digest(readText("/proc/sys/kernel/random/boot_id"));

const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 8);

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Another user's process may not be signalled, but it is there.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return stateLetter(pid) !== "Z";
}

/** `Z` for a process that ended and that its parent has not asked about yet. */
const stateLetter = (pid: number): string | undefined => statFields(pid)[0];

/** When a process started, in ticks since the boot; `undefined` where the system does not tell. */
const startOf = (pid: number): string | undefined => statFields(pid)[19];

/** Fields of `/proc/PID/stat` from the third on: the second is the program's name, which may hold spaces. */
function statFields(pid: number): readonly string[] {
  const text = readText(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

const readText = (path: string): string => attempt(() => readFileSync(path, "utf8"));
const readlink = (path: string): string => attempt(() => readlinkSync(path));

function attempt(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}
