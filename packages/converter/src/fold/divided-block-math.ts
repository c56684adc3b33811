import { findMethod } from "../methods/index.js";
import type { Basis, JointBasis } from "../methods/method.js";
import type { BlockMath, BlockTasks } from "./block-math.js";
import { type ChosenBases, type GroupOfHeads, separateGroups } from "./choose-bases.js";
import type { FoldLayerInput } from "./fold-layer.js";
import { shareArrays, sharedMemory } from "./share-arrays.js";

export declare namespace dividedBlockMath {
  interface Options {
    /** Runs what is not divided: the refits, whose products are large. */
    readonly whole: BlockMath;
    /** Each runs one group of heads at a time, or folds a layer with the bases of all, in a thread of its own. */
    readonly parts: readonly BlockMath[];
  }
}

/**
 * Divides the linear algebra of a layer's groups of heads among threads, for machines whose cores would else be idle, such as
 * beside a GPU. Results are those of one thread with the same products. Memory: one copy of the layer's moments and weights
 * that all threads share, and what each of them needs for a group. It knows the methods of this package alone.
 */
export function dividedBlockMath({ whole, parts }: dividedBlockMath.Options): BlockMath {
  const run = takeTurns(parts);
  const memory = sharedMemory();
  // The weights may be part of what comes back; nobody reads the moments after the task.
  const withShared = <T>(input: FoldLayerInput, work: (shared: FoldLayerInput) => Promise<T>) =>
    memory.lend(input.moments, (moments) => work({ ...shareArrays({ ...input, moments: {} }), moments }));
  const divided: Pick<BlockTasks, "foldLayer" | "layerSavings"> = {
    foldLayer: (input) =>
      withShared(input, async (shared) => {
        const groups = separateGroups(findMethod(input.method), input.plan);
        const bases = await Promise.all(groups.map((group) => run("groupBasis", { ...shared, group })));
        return run("foldLayer", { ...shared, chosen: byWhatTheyStore(groups, bases) });
      }),
    layerSavings: (input) =>
      withShared(input, (shared) => {
        const indices = Array.from({ length: input.plan.keys.heads }, (_, index) => index);
        return Promise.all(indices.map((index) => run("groupSavings", { ...shared, index })));
      }),
  };
  return {
    layersAtOnce: 2,
    run<N extends keyof BlockTasks>(task: N, input: Parameters<BlockTasks[N]>[0]) {
      const work = divided[task as keyof typeof divided] as
        | ((given: typeof input) => Promise<Awaited<ReturnType<BlockTasks[N]>>>)
        | undefined;
      return work === undefined ? whole.run(task, input) : work(input);
    },
    async dispose() {
      await Promise.all([whole, ...parts].map((math) => math.dispose()));
    },
  };
}

/** Gives each task to the thread with the fewest. */
function takeTurns(parts: readonly BlockMath[]): BlockMath["run"] {
  const threads = parts.map((math) => ({ math, tasks: 0 }));
  return <N extends keyof BlockTasks>(
    task: N,
    input: Parameters<BlockTasks[N]>[0],
  ): Promise<Awaited<ReturnType<BlockTasks[N]>>> => {
    const thread = threads.reduce((least, other) => (other.tasks < least.tasks ? other : least));
    thread.tasks++;
    return thread.math.run(task, input).finally(() => {
      thread.tasks--;
    });
  };
}

function byWhatTheyStore(
  groups: readonly GroupOfHeads[],
  bases: readonly (Basis | JointBasis)[],
): ChosenBases {
  const of = (wanted: GroupOfHeads["stores"]) => {
    const own = bases.filter((_, at) => groups[at]!.stores === wanted);
    return own.length === 0 ? {} : { [wanted]: own };
  };
  return { ...of("joint"), ...of("keys"), ...of("values") } as ChosenBases;
}
