import { signal } from "@preact/signals";
import type { PickedFolder } from "../models/dropped-folder.js";
import { calibrationText } from "../models/embedded-model.js";
import { clearQualityPoints } from "../pictures/quality-points.js";
import { messageOf } from "../ui/format.js";
import type { FoldProgressMessage, FoldRequest, FoldResult, LayerEnergy } from "./fold-request.js";
import { CANCELLED, FoldError, type RunningFold, startFold } from "./start-fold.js";

/** What the fold section shows. */
export type FoldState =
  | { readonly kind: "idle" }
  | {
      readonly kind: "running";
      readonly label: string;
      readonly share: number;
    }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "done"; readonly label: string; readonly seconds: number };

/** A model made ready to run: the checkpoint as it is (`keep` 1), or folded. */
export interface PreparedModel {
  readonly folder: PickedFolder;
  /** What the page calls it: one of a kind. */
  readonly label: string;
  readonly result: FoldResult;
  /** Of models from the browser's storage: what tells the original's weights from others. */
  readonly identity?: string;
}

export const foldState = signal<FoldState>({ kind: "idle" });
export const originalModel = signal<PreparedModel | undefined>(undefined);
export const foldedModels = signal<readonly PreparedModel[]>([]);
export const measuredEnergy = signal<readonly LayerEnergy[]>([]);

const runtimeUrl = (): string => new URL("ort/", document.baseURI).href;

/** Methods of the page: one latent for keys and values, which loses least, or one for each, which decodes faster. */
export type FoldMethod = "anchored" | "latent";

let running: RunningFold | undefined;
/** Also between the two runs of a fold, when there is nothing to end. */
let cancelled = false;

export interface FoldChoice {
  readonly keep: string;
  readonly method: FoldMethod;
  readonly windows: number;
  /** Calibration text; a book that comes with the page without it. */
  readonly text?: string | undefined;
}

/** Exports the model as it is, folds it, and keeps both; a failure keeps what was there before. */
export async function foldChosen(folder: PickedFolder, choice: FoldChoice): Promise<void> {
  foldState.value = { kind: "running", label: "reading text", share: 0 };
  cancelled = false;
  try {
    const text = choice.text?.trim() ? choice.text : await calibrationText();
    if (originalModel.value?.folder !== folder) await prepareOriginal(folder);
    const calibration = { text, windows: choice.windows, length: 512 };
    const { keep, method } = choice;
    const result = await run({ ...requestOf(folder), keep, method, calibration });
    const folded = { folder, label: labelOf(choice), result };
    foldedModels.value = [...foldedModels.value.filter(({ label }) => label !== folded.label), folded];
    foldState.value = { kind: "done", label: folded.label, seconds: result.seconds };
  } catch (error) {
    foldState.value =
      error instanceof FoldError && error.code === CANCELLED.code
        ? { kind: "idle" }
        : { kind: "failed", message: messageOf(error) };
  } finally {
    running = undefined;
  }
}

/**
 * Shows a fold that was made before, beside its original.
 *
 * @throws {Error} while a fold is running, which would add to what is shown.
 */
export function adoptPrepared(original: PreparedModel, fold: PreparedModel): void {
  if (foldState.value.kind === "running") throw new Error("a fold is running; wait for it, or cancel it");
  const isSame = originalModel.value?.identity === original.identity;
  if (!isSame) {
    originalModel.value = original;
    clearQualityPoints();
  }
  const others = isSame ? foldedModels.value.filter(({ label }) => label !== fold.label) : [];
  foldedModels.value = [...others, fold];
  measuredEnergy.value = fold.result.energy;
  foldState.value = { kind: "idle" };
}

const labelOf = ({ keep, method }: FoldChoice): string =>
  method === "anchored" ? keep : `${keep}, ${method}`;

export function cancelFold(): void {
  cancelled = true;
  running?.cancel();
}

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

async function run(request: FoldRequest): Promise<FoldResult> {
  if (cancelled) throw new FoldError(CANCELLED);
  running = startFold(request, (message) => {
    if (message.type === "energy") {
      const known = [...measuredEnergy.value];
      known[message.layer] = message.energy;
      measuredEnergy.value = known;
      return;
    }
    const { done, total } = message.progress;
    const share = total > 0 ? done / total : 0;
    foldState.value = { kind: "running", label: describeStep(request, message), share };
  });
  return running.result;
}

function describeStep({ keep }: FoldRequest, { progress, layers }: FoldProgressMessage): string {
  const { step, layer } = progress;
  if (keep === "1") return `original: layer ${layer + 1} of ${layers}`;
  return step === "embed" ? "embedding the text" : `layer ${layer + 1} of ${layers}: ${step}`;
}
