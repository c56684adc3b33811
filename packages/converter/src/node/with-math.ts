import { plainProducts } from "@kvfold/linalg";
import type { AbortSignalLike } from "@kvfold/runtime";
import { type BlockMath, createBlockMath } from "../fold/block-math.js";
import type { Method } from "../methods/method.js";
import { workerBlockMath } from "./worker-block-math.js";

const ABORT_POLL_MILLISECONDS = 100;

export declare namespace withMath {
  interface Options {
    readonly math?: BlockMath | undefined;
    /** Methods of one's own, which a thread that this package starts does not know. */
    readonly methods: readonly Method[];
    readonly signal?: AbortSignalLike | undefined;
  }
}

/**
 * Runs `work` with the linear algebra that is given, or else with one that ends with `work`, and soon after `signal` fires:
 * a single task may take minutes, and nothing else asks about the signal meanwhile.
 */
export async function withMath<T>(
  { math, methods, signal }: withMath.Options,
  work: (math: BlockMath) => Promise<T>,
): Promise<T> {
  if (math !== undefined) return work(math);
  const own = methods.length > 0 ? createBlockMath(plainProducts, { methods }) : workerBlockMath();
  const watch = setInterval(() => {
    if (signal?.aborted) void own.dispose();
  }, ABORT_POLL_MILLISECONDS);
  try {
    return await work(own);
  } finally {
    clearInterval(watch);
    await own.dispose();
  }
}
