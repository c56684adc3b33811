/** What processes hold, as Linux counts it; of this one after garbage has been collected. */
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc");

const statusBytes = (field, pid = "self") => {
  const [, kibibytes] = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(
    readFileSync(`/proc/${pid}/status`, "utf8"),
  );
  return 1024 * Number(kibibytes);
};

/** Bytes that are resident. Buffers are given back a moment after they are collected, by another thread. */
export async function residentBytes() {
  for (let round = 0; round < 3; round++) {
    gc();
    await wait(20);
  }
  return statusBytes("VmRSS");
}

/** Bytes that are resident of another process. */
export const residentBytesOf = (pid) => statusBytes("VmRSS", pid);

/** Lets `peakBytes` count from now on. */
export const forgetPeak = () => writeFileSync("/proc/self/clear_refs", "5");

/** The most that was ever resident. */
export const peakBytes = () => statusBytes("VmHWM");

export const mebibytes = (bytes) => (bytes / 2 ** 20).toFixed(1);
