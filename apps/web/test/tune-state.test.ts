/** What the page shows of a tuning, and what becomes of it, with a worker that does what the test says. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { PreparedModel } from "../src/fold/fold-state.js";
import type { TuneResult } from "../src/tune/tune-request.js";
import { FakeWorker } from "./fake-worker.js";

vi.stubGlobal("document", { baseURI: "http://page.example/" });
const { addFold, adoptPrepared, comparedLabel, foldedModels } = await import("../src/fold/fold-state.js");
const { endWork, workState } = await import("../src/maker/work-state.js");
const { canTune, tuneFolded } = await import("../src/tune/tune-state.js");

const filesOf = (content: string) => new Map([["onnx/model.onnx", new Blob([content])]]);

function prepared(label: string, embedded = true): PreparedModel {
  const folder = { name: "prose-6m", files: filesOf("checkpoint"), embedded };
  const result = { files: filesOf(label), plan: { keep: "1/4" }, energy: [], seconds: 1 };
  return { folder, label, result: result as unknown as PreparedModel["result"], identity: "one" };
}

const labels = () => foldedModels.value.map(({ label }) => label);

beforeEach(() => {
  vi.stubGlobal("document", { baseURI: "http://page.example/" });
  vi.stubGlobal("fetch", async (url: URL) => new Response(url.pathname));
  vi.stubGlobal("Worker", FakeWorker);
  foldedModels.value = [];
  adoptPrepared(prepared("original"), prepared("1/8"));
  addFold(prepared("1/4"));
});

/** A tuning whose worker has begun. */
async function begin(label: string, text = "") {
  const before = FakeWorker.last;
  const fold = foldedModels.value.find((one) => one.label === label)!;
  const done = tuneFolded(fold, { steps: 20, text });
  await vi.waitUntil(() => FakeWorker.last !== before);
  const worker = FakeWorker.last;
  return { done, worker, begun: worker.orders[0]! };
}

const result = (changes: Partial<TuneResult> = {}): TuneResult => ({
  files: filesOf("tuned"),
  plan: prepared("1/4").result.plan,
  seconds: 61.04,
  kept: 20,
  heldOut: [0.0837, 0.0755],
  ...changes,
});

describe("a tuning of the page", () => {
  it("asks for the fold that was chosen, and says how far it is", async () => {
    const { done, worker, begun } = await begin("1/8");
    expect(begun).toMatchObject({ type: "begin", name: "tune", request: { name: "prose-6m", steps: 20 } });
    const { request } = begun as { readonly request: { readonly folded: unknown; readonly text: string } };
    expect(request.folded).toBe(foldedModels.value[0]!.result.files);
    expect(request.text).toBe("/demo/calibration.txt");
    worker.say<"tune">({ type: "news", news: { step: 1, steps: 20, loss: 0.1, heldOut: 0.0837 } });
    expect(workState.value).toMatchObject({
      label: "tuning: step 1 of 20, loss 0.1000, held-out loss 0.0837",
      share: 0.05,
    });
    worker.say<"tune">({ type: "news", news: { step: 2, steps: 20, loss: 0.1, heldOut: undefined } });
    expect(workState.value).toMatchObject({ label: expect.stringMatching(/^tuning: step 2.* \d+ s left$/) });
    worker.say<"tune">({ type: "done", result: result() });
    await done;
  });

  it("makes the tuned fold the one to compare, beside the fold", async () => {
    comparedLabel.value = "1/4";
    const { done, worker } = await begin("1/4", "a text of my own");
    worker.say<"tune">({ type: "done", result: result() });
    await done;
    expect([labels(), comparedLabel.value]).toEqual([["1/8", "1/4", "1/4, tuned"], undefined]);
    const [tuned] = foldedModels.value.slice(-1);
    expect(tuned).toMatchObject({ result: { seconds: 61.04 } });
    // It can be kept in the browser, though the fold comes from there.
    expect(tuned).not.toHaveProperty("identity");
    expect(workState.value).toEqual({
      kind: "done",
      message: "Tuned 1/4 in 61.0 s: held-out loss 0.0755 instead of 0.0837, after 20 steps.",
    });
    expect(worker.isTerminated).toBe(true);
    // A tuned fold that is tuned again is replaced.
    const again = await begin("1/4, tuned");
    again.worker.say<"tune">({ type: "done", result: result() });
    await again.done;
    expect(labels()).toEqual(["1/8", "1/4", "1/4, tuned"]);
  });

  it("is told that it is enough, and keeps what comes then", async () => {
    const { done, worker } = await begin("1/4");
    endWork();
    worker.say<"tune">({ type: "news", news: { step: 7, steps: 20, loss: 0.1, heldOut: 0.08 } });
    expect(worker.orders.slice(1)).toEqual([{ type: "enough" }]);
    expect([worker.isTerminated, workState.value]).toMatchObject([
      false,
      { label: "stopping with the best so far" },
    ]);
    worker.say<"tune">({ type: "done", result: result({ kept: 7 }) });
    await done;
    expect(labels()).toContain("1/4, tuned");
  });

  it("changes nothing where no step helped, or where it failed", async () => {
    const useless = await begin("1/4");
    useless.worker.say<"tune">({ type: "done", result: result({ kept: 0, heldOut: [0.08, 0.08] }) });
    await useless.done;
    expect(workState.value).toMatchObject({ message: expect.stringContaining("it stays as it was") });
    const failed = await begin("1/4");
    failed.worker.say<"tune">({ type: "failed", failure: { code: "diverged", message: "the loss is NaN" } });
    await failed.done;
    expect(workState.value).toEqual({ kind: "failed", message: "the loss is NaN" });
    expect(labels()).toEqual(["1/8", "1/4"]);
  });

  it("is for the model of the page alone", () => {
    expect([canTune(prepared("1/4")), canTune(prepared("1/4", false))]).toEqual([true, false]);
  });
});
