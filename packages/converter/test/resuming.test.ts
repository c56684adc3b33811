import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StageMoments } from "@kvfold/calibration";
import { spillingHiddenStates } from "@kvfold/calibration/node";
import type { Checkpoint } from "@kvfold/decoder";
import type { SessionProvider } from "@kvfold/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  syntheticCheckpoint,
  tinyBloom,
  tinyLlama,
} from "../../decoder/test/reference/synthetic-checkpoint.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { type FoldProgress, foldModel, planFold } from "../src/index.js";
import { openJournal, writeModel } from "../src/node.js";
import { randomWindows } from "./support/numbers.js";
import { differingFiles, readFolder } from "./support/read-folder.js";

const LAYERS = 3;
const llama = { ...tinyLlama, num_hidden_layers: LAYERS };
const bloom = { ...tinyBloom, n_layer: LAYERS };
const text = randomWindows(3, 12, { vocabulary: 61 });

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-resuming-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

interface Kind extends Omit<planFold.Options, "keep"> {
  readonly config: Readonly<Record<string, unknown>>;
  readonly windows?: readonly Int32Array[];
}

const kinds: readonly (readonly [string, Kind])[] = [
  [
    "latent, healed, in two float types",
    { config: llama, method: "latent", windows: text, dtypes: ["fp32", "fp16", "q4"] },
  ],
  ["svd-a, which only measures", { config: llama, method: "svd-a", windows: text, heal: "none" }],
  ["mean without text, in both formats", { config: llama, method: "mean", formats: ["onnx", "hf"] }],
  ["commuting as a checkpoint", { config: llama, method: "commuting", windows: text, formats: ["hf"] }],
  ["commuting-reallocated", { config: llama, method: "commuting-reallocated", windows: text }],
  ["lorc, healed in part", { config: llama, method: "lorc", windows: text, heal: "attention" }],
  [
    "anchored, in two float types",
    { config: llama, method: "anchored", windows: text, dtypes: ["fp32", "q4"] },
  ],
  ["latent of ALiBi", { config: bloom, method: "latent", windows: text }],
  ["anchored by the loss", { config: llama, method: "anchored", metric: "loss", windows: text }],
  ["a budget that runs the model", { config: llama, method: "svd-w", windows: text, budget: "knapsack" }],
];

interface Run {
  readonly checkpoint: Checkpoint;
  readonly moments?: readonly StageMoments[];
  /** Whether moments are kept. */
  readonly onMoments?: (layer: number, moments: StageMoments) => void;
  readonly hiddenStates?: writeModel.Options["hiddenStates"];
  readonly onBudget?: writeModel.Options["onBudget"];
  readonly onGradients?: writeModel.Options["onGradients"];
  readonly provider?: SessionProvider;
}

/** A provider that counts the blocks of backward passes. */
function countingProvider() {
  const provider = oneThreadProvider();
  const counted = { backward: 0 };
  const createSession: SessionProvider["createSession"] = async (source, options) => {
    const session = await provider.createSession(source, options);
    if (session.inputs.some(({ name }) => name === "grad.hidden_out")) counted.backward++;
    return session;
  };
  return { counted, provider: { ...provider, createSession } };
}

interface Outcome {
  readonly finished: boolean;
  readonly files: ReadonlyMap<string, Buffer>;
  readonly steps: readonly FoldProgress[];
}

/** Folds to a folder of that name; with `stop`, until it says so. */
async function fold(
  name: string,
  kind: Kind,
  run: Run,
  { journal, stop }: { journal?: string; stop?: (progress: FoldProgress) => boolean } = {},
): Promise<Outcome> {
  const { config: _, windows, ...options } = kind;
  const { checkpoint, moments } = run;
  const plan = planFold(checkpoint.config, { keep: "1/2", ...options });
  const to = join(root, name);
  await mkdir(to);
  const controller = new AbortController();
  const opened =
    journal === undefined
      ? undefined
      : await openJournal({ folder: journal, checkpoint, plan, windows, moments, version: "1" });
  const steps: FoldProgress[] = [];
  const work = writeModel({
    ...run,
    plan,
    windows,
    journal: opened,
    provider: run.provider ?? oneThreadProvider(),
    from: root,
    to,
    record: ({ retained }) => ({ retained }),
    onProgress(progress) {
      steps.push(progress);
      if (stop?.(progress)) controller.abort();
    },
    signal: controller.signal,
  });
  const finished = await work.then(
    () => true,
    (error: { readonly code: string }) => {
      if (error.code !== "aborted") throw error;
      return false;
    },
  );
  return { finished, files: await readFolder(to), steps };
}

const collect =
  (into: StageMoments[]) =>
  (layer: number, stage: StageMoments): void => {
    into[layer] = stage;
  };

const isWritten =
  (layer: number) =>
  (progress: FoldProgress): boolean =>
    progress.step === "write" && progress.layer === layer;

describe("a fold that was stopped and goes on", () => {
  it.each(kinds)("writes the same bytes: %s", async (_, kind) => {
    const run = { checkpoint: await syntheticCheckpoint({ config: kind.config }) };
    const whole = await fold("whole", kind, run);
    const journal = join(root, "journal");
    for (let layer = 0; layer < LAYERS - 1; layer++) {
      const stopped = await fold(`stopped-${layer}`, kind, run, { journal, stop: isWritten(layer) });
      expect(stopped.finished).toBe(false);
      expect(stopped.steps[0]!.layer).toBe(layer);
    }
    const resumed = await fold("resumed", kind, run, { journal });
    expect(differingFiles(resumed.files, whole.files)).toEqual([]);
    expect(resumed.steps[0]!.layer).toBe(LAYERS - 1);
    const { step, layer, done, total } = resumed.steps.at(-1)!;
    expect(whole.steps.at(-1)).toMatchObject({ step, layer });
    // The whole fold has the attention that its budget measured; the resumed one measures what is left of it again.
    expect(total).toBeGreaterThanOrEqual(whole.steps.at(-1)!.total);
    expect(done).toBe(total);
  });

  it.each([
    ["in memory", undefined],
    ["in files", 0],
  ])("writes the same bytes wherever it was stopped, with its hidden states %s", async (_, memoryBytes) => {
    const kind: Kind = { config: llama, method: "latent", windows: text };
    const run = {
      checkpoint: await syntheticCheckpoint({ config: llama }),
      hiddenStates: spillingHiddenStates({
        folder: root,
        ...(memoryBytes === undefined ? {} : { memoryBytes }),
      }),
    };
    const whole = await fold("whole", kind, run);
    const journal = join(root, "journal");
    // A block, the half of the next that is measured meanwhile, and some: each run gets on, and each stops elsewhere.
    const reports = Math.ceil(whole.steps.length / LAYERS) + 10;
    const runs: Outcome[] = [];
    while (runs.at(-1)?.finished !== true) {
      expect(runs.length).toBeLessThan(LAYERS);
      let count = 0;
      const stop = () => ++count === reports;
      runs.push(await fold(`run-${runs.length}`, kind, run, { journal, stop }));
    }
    expect(runs.length).toBeGreaterThan(2);
    expect(differingFiles(runs.at(-1)!.files, whole.files)).toEqual([]);
  });

  it("needs no text any more when all blocks were finished", async () => {
    const kind: Kind = { config: llama, method: "latent", windows: text };
    const run = { checkpoint: await syntheticCheckpoint({ config: llama }) };
    const journal = join(root, "journal");
    const whole = await fold("whole", kind, run, { journal });
    const again = await fold("again", kind, run, { journal });
    expect(again.steps).toEqual([]);
    expect(differingFiles(again.files, whole.files)).toEqual([]);
  });

  it("keeps the ranks that a budget gave", async () => {
    const kind: Kind = { config: llama, method: "svd-w", windows: text, budget: "knapsack" };
    const checkpoint = await syntheticCheckpoint({ config: llama });
    const journal = join(root, "journal");
    const layers: string[] = [];
    const onBudget = () => layers.push("measured");
    await fold("stopped", kind, { checkpoint, onBudget }, { journal, stop: isWritten(0) });
    expect(layers).toHaveLength(LAYERS);
    await fold("resumed", kind, { checkpoint, onBudget }, { journal });
    expect(layers).toHaveLength(LAYERS);
  });

  it.each([
    ["anchored", "power", "both"],
    ["latent", "uniform", "attention"],
    ["commuting", "uniform", "none"],
  ] as const)("measures gradients once: %s with budget %s", async (method, budget, heal) => {
    const kind: Kind = { config: llama, method, budget, heal, metric: "loss", windows: text };
    const checkpoint = await syntheticCheckpoint({ config: llama });
    const { counted, provider } = countingProvider();
    const whole = await fold("whole", kind, { checkpoint, provider });
    expect(counted.backward).toBe(LAYERS);
    const journal = join(root, "journal");
    const stopped = await fold("stopped", kind, { checkpoint, provider }, { journal, stop: () => true });
    expect(stopped).toMatchObject({ finished: false, steps: [{ layer: 0 }] });
    expect(counted.backward).toBe(2 * LAYERS);
    const resumed = await fold("resumed", kind, { checkpoint, provider }, { journal });
    expect(counted.backward).toBe(2 * LAYERS);
    expect(differingFiles(resumed.files, whole.files)).toEqual([]);
  });

  it("measures gradients again where it was stopped among them, and says which are lost", async () => {
    const kind: Kind = { config: llama, method: "latent", metric: "loss", windows: text };
    const checkpoint = await syntheticCheckpoint({ config: llama });
    const { counted, provider } = countingProvider();
    const journal = join(root, "journal");
    const onGradients = () => {
      throw new Error("stopped");
    };
    await expect(fold("stopped", kind, { checkpoint, provider, onGradients }, { journal })).rejects.toThrow(
      "stopped",
    );
    expect(counted.backward).toBe(1);
    await fold("again", kind, { checkpoint, provider }, { journal, stop: isWritten(0) });
    expect(counted.backward).toBe(1 + LAYERS);
    await rm(join(journal, "gradients-1.safetensors"));
    await expect(fold("resumed", kind, { checkpoint, provider }, { journal })).rejects.toThrow(
      expect.objectContaining({
        code: "unusable-journal",
        message: expect.stringMatching(/gradients-1.safetensors is missing or damaged/) as string,
      }),
    );
  });

  it("shows the moments of all layers, and refuses where they were not kept", async () => {
    const kind: Kind = { config: llama, method: "svd-a", windows: text };
    const checkpoint = await syntheticCheckpoint({ config: llama });
    const [whole, resumed]: StageMoments[][] = [[], []];
    await fold("whole", kind, { checkpoint, onMoments: collect(whole!) });
    const journal = join(root, "journal");
    await fold("stopped", kind, { checkpoint, onMoments: () => {} }, { journal, stop: isWritten(1) });
    await fold("resumed", kind, { checkpoint, onMoments: collect(resumed!) }, { journal });
    expect(resumed).toEqual(whole);

    const bare = join(root, "bare");
    await fold("stopped-bare", kind, { checkpoint }, { journal: bare, stop: isWritten(0) });
    await expect(
      fold("resumed-bare", kind, { checkpoint, onMoments: () => {} }, { journal: bare }),
    ).rejects.toThrow(
      expect.objectContaining({
        code: "unusable-journal",
        message: expect.stringContaining("bare was kept without the moments of its blocks") as string,
      }),
    );
  });

  it("heals on text with moments from elsewhere", async () => {
    const kind: Kind = { config: llama, method: "svd-a", heal: "attention", windows: text };
    const checkpoint = await syntheticCheckpoint({ config: llama });
    const moments: StageMoments[] = [];
    await fold("measured", kind, { checkpoint, onMoments: collect(moments) });
    const whole = await fold("whole", kind, { checkpoint, moments });
    const journal = join(root, "journal");
    await fold("stopped", kind, { checkpoint, moments }, { journal, stop: isWritten(1) });
    const resumed = await fold("resumed", kind, { checkpoint, moments }, { journal });
    expect(differingFiles(resumed.files, whole.files)).toEqual([]);
  });
});

describe("a fold whose output fails", () => {
  it("goes on behind the last block that was written", async () => {
    const checkpoint = await syntheticCheckpoint({ config: llama });
    const plan = planFold(checkpoint.config, { keep: "1/2", method: "latent" });
    const options = { checkpoint, plan, windows: text, provider: oneThreadProvider() };
    const open = () => openJournal({ ...options, folder: join(root, "journal"), version: "1" });
    let room = 2;
    const output = {
      begin: async () => {},
      addBlock: async () => {
        if (room-- === 0) throw new Error("ENOSPC");
      },
      finish: async () => {},
      abandon: async () => {},
    };
    const failing = foldModel({ ...options, journal: await open(), outputs: [output] });
    await expect(failing).rejects.toThrow("ENOSPC");
    const journal = await open();
    expect(journal.blocks).toBe(2);
    const resumed = await foldModel({ ...options, journal, outputs: [] });
    expect(resumed).toEqual(await foldModel({ ...options, outputs: [] }));
  });
});
