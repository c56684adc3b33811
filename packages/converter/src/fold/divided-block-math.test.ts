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
import { shareArrays } from "./share-arrays.js";

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
      expect(whole.tasks.filter((task) => task === "foldLayer")).toHaveLength(2);
      expect(parts.flatMap(({ tasks }) => tasks)).toContain("groupBasis");
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
