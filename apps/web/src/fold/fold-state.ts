import { signal } from "@preact/signals";
import { atWork, runtimeUrl, runWork, showStep, workState } from "../maker/work-state.js";
import type { PickedFolder } from "../models/dropped-folder.js";
import { calibrationText } from "../models/embedded-model.js";
import { clearQualityPoints } from "../pictures/quality-points.js";
import type { FoldProgressNews, FoldRequest, FoldResult, LayerEnergy } from "./fold-request.js";

/** A model made ready to run: the checkpoint as it is (`keep` 1), or folded. */
export interface PreparedModel {
  readonly folder: PickedFolder;
  /** What the page calls it: one of a kind. */
  readonly label: string;
  readonly result: FoldResult;
  /** Of models from the browser's storage: what tells the original's weights from others. */
  readonly identity?: string;
}

export const originalModel = signal<PreparedModel | undefined>(undefined);
export const foldedModels = signal<readonly PreparedModel[]>([]);
/** The fold that was chosen to compare; without a choice the last one. */
export const comparedLabel = signal<string | undefined>(undefined);
export const measuredEnergy = signal<readonly LayerEnergy[]>([]);

/** Methods of the page: one latent for keys and values, which loses least, or one for each, which decodes faster. */
export type FoldMethod = "anchored" | "latent";

export interface FoldChoice {
  readonly keep: string;
  readonly method: FoldMethod;
  readonly windows: number;
  /** Calibration text; a book that comes with the page without it. */
  readonly text?: string | undefined;
}

/** Exports the model as it is, folds it, and keeps both. */
export const foldChosen = (folder: PickedFolder, choice: FoldChoice): Promise<void> =>
  atWork("cancel", async () => {
    const text = choice.text?.trim() ? choice.text : await calibrationText();
    if (originalModel.value?.folder !== folder) await prepareOriginal(folder);
    const calibration = { text, windows: choice.windows, length: 512 };
    const { keep, method } = choice;
    const result = await run({ ...requestOf(folder), keep, method, calibration });
    const label = labelOf(choice);
    addFold({ folder, label, result });
    return `Folded to ${label} in ${result.seconds.toFixed(1)} s.`;
  });

/** Adds a fold in place of an earlier one of that label; it is the one to compare. */
export function addFold(fold: PreparedModel): void {
  foldedModels.value = [...foldedModels.value.filter(({ label }) => label !== fold.label), fold];
  comparedLabel.value = undefined;
}

/**
 * Shows a fold that was made before, beside its original.
 *
 * @throws {Error} while a fold or a tuning is running, which would add to what is shown.
 */
export function adoptPrepared(original: PreparedModel, fold: PreparedModel): void {
  if (workState.value.kind === "running")
    throw new Error("a fold or a tuning is running; wait for it, or end it");
  const isSame = originalModel.value?.identity === original.identity;
  if (!isSame) {
    originalModel.value = original;
    foldedModels.value = [];
    clearQualityPoints();
  }
  addFold(fold);
  measuredEnergy.value = fold.result.energy;
  workState.value = { kind: "idle" };
}

const labelOf = ({ keep, method }: FoldChoice): string =>
  method === "anchored" ? keep : `${keep}, ${method}`;

async function prepareOriginal(folder: PickedFolder): Promise<void> {
  originalModel.value = undefined;
  foldedModels.value = [];
  measuredEnergy.value = [];
  clearQualityPoints();
  const result = await run({ ...requestOf(folder), keep: "1" });
  originalModel.value = { folder, label: "original", result };
}

const requestOf = ({ name, files }: PickedFolder): Omit<FoldRequest, "keep"> => ({
  name,
  files,
  runtimeUrl: runtimeUrl(),
});

const run = (request: FoldRequest): Promise<FoldResult> =>
  runWork("fold", request, (news) => {
    if (news.type === "energy") {
      const known = [...measuredEnergy.value];
      known[news.layer] = news.energy;
      measuredEnergy.value = known;
      return;
    }
    const { done, total } = news.progress;
    showStep(describeStep(request, news), total > 0 ? done / total : 0);
  });

function describeStep({ keep }: FoldRequest, { progress, layers }: FoldProgressNews): string {
  const { step, layer } = progress;
  if (keep === "1") return `original: layer ${layer + 1} of ${layers}`;
  return step === "embed" ? "embedding the text" : `layer ${layer + 1} of ${layers}: ${step}`;
}
