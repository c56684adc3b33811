import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { randomWindows } from "../../test/support/numbers.js";
import { recordedOutput } from "../../test/support/recorded-output.js";
import { allocateBudget } from "../budgets/allocate-budget.js";
import { planFold } from "../plan/plan-fold.js";
import { type BlockMath, type BlockTasks, inlineBlockMath } from "./block-math.js";
import { dividedBlockMath } from "./divided-block-math.js";
import { foldModel } from "./fold-model.js";
import { shareArrays, sharedMemory } from "./share-arrays.js";

const windows = randomWindows(3, 12, { vocabulary: 61 });
const provider = nodeProvider();

async function foldWith(math: BlockMath, method: string) {
  const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
  const wanted = planFold(checkpoint.config, { keep: "1/2", method });
  const plan = await allocateBudget({ checkpoint, plan: wanted, windows, provider, math });
  const { output, blocks } = recordedOutput();
  const report = await foldModel({ checkpoint, plan, windows, provider, math, outputs: [output] });
  return { plan, blocks, report };
}

/** The caller's thread, which notes its tasks. */
function recordedMath() {
  const tasks: (keyof BlockTasks)[] = [];
  const math: BlockMath = {
    run: (task, input) => {
      tasks.push(task);
      return inlineBlockMath.run(task, input);
    },
    dispose: async () => {},
  };
  return { math, tasks };
}

describe("dividedBlockMath", () => {
  it.each(["anchored", "latent"])(
    "folds with %s to the bits of one thread, group by group",
    async (method) => {
      const [whole, ...parts] = [recordedMath(), recordedMath(), recordedMath()];
      const math = dividedBlockMath({ whole: whole.math, parts: parts.map((part) => part.math) });
      expect(await foldWith(math, method)).toEqual(await foldWith(inlineBlockMath, method));
      const partTasks = parts.flatMap(({ tasks }) => tasks);
      expect(partTasks.filter((task) => task === "foldLayer")).toHaveLength(2);
      expect(partTasks).toContain("groupBasis");
      expect(whole.tasks).not.toContain("foldLayer");
    },
  );
});

describe("shareArrays", () => {
  it("puts large arrays of numbers into memory that threads share, once, and leaves the rest alone", () => {
    const [large, small] = [new Float64Array(2 ** 13).fill(3), Float32Array.of(1, 2)];
    const given = { name: "a", parts: [{ large, small, none: undefined }], wide: new Float32Array(2 ** 14) };
    const shared = shareArrays(given);
    expect(shared).toEqual(given);
    expect(shared.parts[0]!.large.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(shared.wide.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(shared.parts[0]!.small).toBe(small);
    expect(shareArrays(shared).wide).toBe(shared.wide);
  });
});

describe("sharedMemory", () => {
  it("is used again for arrays of the same size once the work with them is done", async () => {
    const memory = sharedMemory();
    const numbers = (value: number) => new Float64Array(2 ** 13).fill(value);
    const lend = (value: number, work: () => Promise<void> = async () => {}) =>
      memory.lend({ sums: numbers(value) }, async ({ sums }) => {
        await work();
        expect(sums).toEqual(numbers(value));
        return sums.buffer;
      });
    const first = await lend(1);
    expect(first).toBeInstanceOf(SharedArrayBuffer);
    expect(await lend(2)).toBe(first);
    const inner = await lend(3, async () => void (await lend(4)));
    expect(inner).toBe(first);
    await expect(memory.lend(numbers(5), () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  });
});
