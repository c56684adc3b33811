import { tokenWindows } from "@kvfold/calibration";
import {
  allocateBudget,
  createBlockMath,
  type FoldProgress,
  onnxProducts,
  writeFiles,
} from "@kvfold/converter";
import { type Checkpoint, openCheckpoint } from "@kvfold/decoder";
import type { SessionProvider } from "@kvfold/runtime";
import { blobFolder } from "../models/blob-folder.js";
import { memoryTarget } from "../models/memory-target.js";
import { documentTokens, readTokenizer } from "../models/text-tokenizer.js";
import type { FoldRequest, FoldResult, LayerEnergy } from "./fold-request.js";
import { layerEnergy } from "./layer-energy.js";
import { planRequest, windowLength } from "./plan-request.js";

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
        const { config } = checkpoint;
        const shares = layerEnergy({ config, plan, layer, moments, window: windows?.[0]?.length ?? 1 });
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
