import type { FoldPlan, FoldProgress } from "@kvfold/converter";
import type { LostEnergy } from "@kvfold/converter/internals";
import type { ModelFiles } from "../models/model-files.js";

/** A fold that the page asks its worker for. */
export interface FoldRequest {
  readonly name: string;
  readonly files: ModelFiles;
  /** Share of the cache to keep, such as `1/2`; `1` exports the model as it is. */
  readonly keep: string;
  readonly method?: string;
  /** Where ONNX Runtime's files are. */
  readonly runtimeUrl: string;
  readonly calibration?: Calibration;
}

export interface Calibration {
  readonly text: string;
  readonly windows: number;
  /** Tokens of a window. */
  readonly length: number;
}

/** Parts of the directions, and of the cache, that energies are measured for. */
export const ENERGY_FRACTIONS: readonly number[] = [1 / 8, 1 / 4, 1 / 2];

/** Share of a layer's energy in the top directions, for each of `ENERGY_FRACTIONS` (arXiv 2406.07056, Figure 1). */
export interface LayerEnergy {
  /** After the rotation, at the positions of the windows. */
  readonly keys: readonly number[];
  readonly values: readonly number[];
  /** What latents lose that keep as large a part of the cache, where keys and values were measured together. */
  readonly lost?: LostEnergy;
}

export interface FoldResult {
  /** The folder that transformers.js loads. */
  readonly files: ModelFiles;
  readonly plan: FoldPlan;
  /** By layer; empty where nothing was measured. */
  readonly energy: readonly LayerEnergy[];
  readonly seconds: number;
}

/** What a fold tells on the way. */
export type FoldNews =
  | FoldProgressNews
  | { readonly type: "energy"; readonly layer: number; readonly energy: LayerEnergy };

export interface FoldProgressNews {
  readonly type: "progress";
  readonly progress: FoldProgress;
  readonly layers: number;
}
