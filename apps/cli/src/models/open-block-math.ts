import { availableParallelism } from "node:os";
import type { BlockMath } from "@kvfold/converter";
import { dividedBlockMath, workerBlockMath } from "@kvfold/converter/node";

/** Cores of a thread that works on one group of heads: half of its time is JavaScript. */
const CORES_OF_A_GROUP = 2;

/** More threads than this have nothing to do: a layer has about four groups, and two layers are worked on at once. */
const MOST_GROUPS = 8;

/** A thread for linear algebra, or several where cores are free. */
export function openBlockMath(cores: number): BlockMath {
  const whole = startThread({ threads: cores, largeThreads: availableParallelism() });
  const groups = Math.min(MOST_GROUPS, Math.floor(cores / CORES_OF_A_GROUP));
  if (groups < 2) return whole;
  const narrow = { threads: CORES_OF_A_GROUP, largeThreads: CORES_OF_A_GROUP };
  return dividedBlockMath({ whole, parts: Array.from({ length: groups }, () => startThread(narrow)) });
}

interface Threads {
  readonly threads: number;
  readonly largeThreads: number;
}

function startThread({ threads, largeThreads }: Threads): BlockMath {
  // By name, not by place: threads run the build, in tests too.
  const script = new URL(import.meta.resolve("kvfold/block-math-worker"));
  script.searchParams.set("threads", String(threads));
  script.searchParams.set("large", String(largeThreads));
  return workerBlockMath({ script });
}
