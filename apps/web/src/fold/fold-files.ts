import { type StageMoments, tokenWindows } from "@kvfold/calibration";
import {
  allocateBudget,
  createBlockMath,
  type FoldProgress,
  onnxProducts,
  writeFiles,
} from "@kvfold/converter";
import { type Checkpoint, openCheckpoint } from "@kvfold/decoder";
import { energyShares, secondMoment, sliceMoments, symmetricEigenvalues } from "@kvfold/linalg";
import type { SessionProvider } from "@kvfold/runtime";
import { blobFolder } from "../models/blob-folder.js";
import { memoryTarget } from "../models/memory-target.js";
import { documentTokens, readTokenizer } from "../models/text-tokenizer.js";
import type { FoldRequest, FoldResult, LayerEnergy } from "./fold-request.js";
import { planRequest, windowLength } from "./plan-request.js";

const FRACTIONS = [0.125, 0.25, 0.5];
/** Full decompositions of more than this take minutes, and a picture is not worth them. */
const MAX_ENERGY_WIDTH = 1024;

export interface FoldWatcher {
  readonly onProgress: (progress: FoldProgress, layers: number) => void;
  readonly onEnergy: (layer: number, energy: LayerEnergy) => void;
}

/** Folds a checkpoint into the files of an ONNX model, all in memory. */
export async function foldFiles(
  request: FoldRequest,
  provider: SessionProvider,
  { onProgress, onEnergy }: FoldWatcher,
): Promise<FoldResult> {
  const started = performance.now();
  const source = blobFolder(request.name, request.files);
  const checkpoint = await openCheckpoint(source);
  const asked = planRequest(request, checkpoint.config);
  const windows = await calibrationWindows(request, checkpoint);
  const { target, files } = memoryTarget();
  const energy: LayerEnergy[] = [];
  const products = await onnxProducts(provider);
  const math = createBlockMath(products);
  try {
    const plan = await allocateBudget({ checkpoint, plan: asked, provider, windows, math });
    const report = await writeFiles({
      checkpoint,
      plan,
      source,
      target,
      provider,
      windows,
      math,
      record: () => ({ model: request.name, windows: windows?.length ?? 0 }),
      onProgress: (progress) => onProgress(progress, checkpoint.config.shape.layers),
      onMoments: (layer, moments) => {
        const shares = layerEnergy(moments);
        if (shares === undefined) return;
        energy[layer] = shares;
        onEnergy(layer, shares);
      },
    });
    return { files: files(), plan: report.plan, energy, seconds: (performance.now() - started) / 1000 };
  } finally {
    await products.dispose();
    await checkpoint.close();
  }
}

async function calibrationWindows(
  request: FoldRequest,
  { config }: Checkpoint,
): Promise<readonly Int32Array[] | undefined> {
  const { files, calibration } = request;
  const length = windowLength(request, config);
  if (calibration === undefined || length === undefined) return undefined;
  const { text, windows: count } = calibration;
  const tokenizer = await readTokenizer(files);
  const tokens = documentTokens(tokenizer, text, count * (length + 1));
  const cut = tokenWindows(tokens, {
    length: length + 1,
    bosToken: tokenizer.addedBos,
    source: "the calibration text",
  });
  return cut.slice(0, count).map((ids) => ids.subarray(0, length));
}

function layerEnergy(measured: StageMoments): LayerEnergy | undefined {
  const { keysAndValues: both, keysBeforeRope } = measured;
  const { keys = keysBeforeRope, values } = both === undefined ? measured : apart(both);
  if (keys === undefined || values === undefined || keys.width > MAX_ENERGY_WIDTH) return undefined;
  const shares = (moments: StageMoments[string]) =>
    energyShares(symmetricEigenvalues(secondMoment(moments)), FRACTIONS);
  return { keys: shares(keys), values: shares(values) };
}

/** Keys before the rotation and values, which are measured side by side. */
const apart = (both: StageMoments[string]): StageMoments => ({
  keys: sliceMoments(both, 0, both.width / 2),
  values: sliceMoments(both, both.width / 2, both.width),
});
