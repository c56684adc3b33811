/** The page's tuning on Node's ONNX Runtime, of a fold so small that it takes no time. */
import { beforeAll, describe, expect, it } from "vitest";
import { oneThreadProvider } from "../../../packages/decoder/test/support/one-thread-provider.js";
import { foldFiles } from "../src/fold/fold-files.js";
import type { FoldRequest, FoldResult } from "../src/fold/fold-request.js";
import { tuneFold } from "../src/tune/tune-fold.js";
import type { TuneRequest } from "../src/tune/tune-request.js";
import { POSITIONS, silent, tinyRequest } from "./tiny-request.js";

const METHODS = ["anchored", "latent"];
/** The letters are not equally frequent, nor in one order: windows differ. */
const text = Array.from({ length: 400 }, (_, index) => "a b c d e f ".slice(0, 2 + (index % 6) * 2)).join("");
const folds = new Map<string, { readonly request: FoldRequest; readonly fold: FoldResult }>();

beforeAll(async () => {
  for (const method of METHODS) {
    // At 1/2 nothing is lost, and nothing is to be learned.
    const request = { ...(await tinyRequest(method)), keep: "1/8" };
    folds.set(method, { request, fold: await foldFiles(request, oneThreadProvider(), silent) });
  }
});

interface Tuning extends Partial<TuneRequest> {
  readonly method?: string;
  /** The step that is enough. */
  readonly enoughAt?: number;
}

async function tune({ method = "anchored", enoughAt, ...changes }: Tuning) {
  const { request, fold } = folds.get(method)!;
  const { name, files } = request;
  const enough = { aborted: false };
  const steps: number[] = [];
  const onProgress = ({ step }: { readonly step: number }) => {
    steps.push(step);
    // The page's wish comes with a task of the event loop, as a message does.
    if (step === enoughAt)
      setTimeout(() => {
        enough.aborted = true;
      });
  };
  const asked = { name, files, folded: fold.files, steps: 6, text, runtimeUrl: "", ...changes };
  const result = await tuneFold(asked, oneThreadProvider(), { onProgress, enough });
  return { ...result, steps, fold };
}

const recordOf = async (files: FoldResult["files"]) => JSON.parse(await files.get("kvfold.json")!.text());

describe("tuneFold", () => {
  it.each(METHODS)("brings a fold nearer to its original, in the same files (%s)", async (method) => {
    const { heldOut, kept, files, plan, steps, fold } = await tune({ method });
    expect(steps).toEqual([1, 2, 3, 4, 5, 6]);
    expect(kept).toBe(6);
    expect(heldOut[1]).toBeLessThan(0.95 * heldOut[0]);
    expect([...files.keys()].toSorted()).toEqual([...fold.files.keys()].toSorted());
    expect(JSON.parse(JSON.stringify(plan))).toEqual(JSON.parse(JSON.stringify(fold.plan)));
    expect((await recordOf(files)).tuning).toMatchObject({ steps: 6, text: { window: POSITIONS } });
    // Tuned again it begins where it was, but for the rounding of merged weights, which a loss of four nats makes large.
    const again = await tune({ method, folded: files, steps: 1 });
    expect(Math.abs(again.heldOut[0] / heldOut[1] - 1)).toBeLessThan(1e-3);
  });

  it("ends when it is enough, with the best so far", async () => {
    const { heldOut, kept, steps } = await tune({ enoughAt: 2, steps: 40 });
    expect(steps.length).toBeLessThan(5);
    expect(kept).toBe(steps.at(-1));
    expect(heldOut[1]).toBeLessThan(heldOut[0]);
  });

  it("says that a text is too short", async () => {
    const short = "a b c d e f ".repeat(30);
    await expect(tune({ text: short })).rejects.toThrow(/the tuning text has \d+ tokens; give at least 258/);
    const { heldOut } = await tune({ text: "a b c d e f ".repeat(50), steps: 1 });
    expect(heldOut[0]).toBeGreaterThan(0);
  });
});
