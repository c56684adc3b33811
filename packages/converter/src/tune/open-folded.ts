import {
  type BlockWeights,
  type Checkpoint,
  type FolderSource,
  loadBlock,
  loadEmbedding,
  openCheckpoint,
  openStoredDecoder,
  type StoredLayer,
} from "@kvfold/decoder";
import { loadAdapters, mergeAdapters } from "@kvfold/tuning";
import { ConverterError } from "../converter-error.js";
import { chunksOfLayer } from "../fold/chunks-of-pairs.js";
import { cacheShapes } from "../plan/cache-size.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import { onnxDtypes } from "../plan/stored-dtype.js";
import { ADAPTERS_FILE } from "./adapters-folder.js";
import { type FoldRecord, readFoldRecord } from "./fold-record.js";

/** A folded model, opened to read its blocks. */
export interface FoldedModel extends FoldRecord {
  block(layer: number): Promise<BlockWeights>;
  close(): Promise<void>;
}

/**
 * Opens a folder that a fold wrote: its ONNX graph in the most precise type there is, or else its checkpoint.
 *
 * @throws {ConverterError} `unsupported-model` when kvfold did not write the folder, when it holds only GGUF files, or when
 * it was not made of `original`.
 * @throws {DecoderError} `malformed-checkpoint` when files are missing or damaged.
 */
export async function openFolded(folder: FolderSource, original: Checkpoint): Promise<FoldedModel> {
  const record = readFoldRecord(folder.name, await folder.readText("kvfold.json"));
  requireLayers(folder, record.plan, original);
  const opened = await openWeights(folder, record.plan, original);
  try {
    await requireSameTable(folder, original, await opened.table());
    return { ...record, ...opened, block: await withKeptAdapters(folder, record, opened) };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** A model that was tuned with its adapters kept beside it is what both are together. */
async function withKeptAdapters(
  folder: FolderSource,
  { fields }: FoldRecord,
  { block }: OpenWeights,
): Promise<FoldedModel["block"]> {
  if (!keepsAdapters(fields)) return block;
  const bytes = await folder.openBytes(ADAPTERS_FILE);
  if (bytes === undefined)
    throw new ConverterError(
      "unsupported-model",
      `${folder.name}: its kvfold.json names adapters, and ${ADAPTERS_FILE} is missing; tune again`,
    );
  try {
    const content = await bytes.read(0, bytes.byteLength);
    const { layers, scale } = await loadAdapters(content, `${folder.name}/${ADAPTERS_FILE}`);
    return async (layer) => mergeAdapters(await block(layer), layers[layer] ?? [], scale);
  } finally {
    await bytes.close?.();
  }
}

const keepsAdapters = ({ tuning }: FoldRecord["fields"]): boolean =>
  typeof tuning === "object" && tuning !== null && "adapters" in tuning && tuning.adapters === "keep";

interface OpenWeights extends Pick<FoldedModel, "block" | "close"> {
  table(): Promise<Float32Array>;
}

async function openWeights(folder: FolderSource, plan: FoldPlan, original: Checkpoint): Promise<OpenWeights> {
  const { formats, dtypes } = plan;
  if (formats.includes("onnx")) {
    const [dtype] = ["fp32", "fp16", "q4"].flatMap((name) =>
      onnxDtypes(dtypes).filter((found) => found === name),
    );
    const stored = await openStoredDecoder({
      folder,
      config: original.config,
      dtype: dtype!,
      layers: storedLayers(plan, original),
    });
    return { ...stored, table: async () => (await stored.table()).data };
  }
  if (formats.includes("hf"))
    return openFoldedCheckpoint(formats.length > 1 ? insideOf(folder, "hf/") : folder);
  throw new ConverterError(
    "unsupported-model",
    `${folder.name}: it holds only GGUF files, which cannot be tuned; fold with format onnx,gguf, tune, and both are written`,
  );
}

async function openFoldedCheckpoint(folder: FolderSource): Promise<OpenWeights> {
  const checkpoint = await openCheckpoint(folder);
  return {
    block: (layer) => loadBlock(checkpoint, layer),
    table: async () => (await loadEmbedding(checkpoint)).table,
    close: () => checkpoint.close(),
  };
}

const insideOf = (folder: FolderSource, path: string): FolderSource => ({
  name: `${folder.name}/${path}`,
  readText: (file) => folder.readText(path + file),
  openBytes: (file) => folder.openBytes(path + file),
});

/** What the tensors of a folded model do not tell. */
export const storedLayers = (
  { layers, chunk, maxPositions }: FoldPlan,
  { config }: Pick<Checkpoint, "config">,
): readonly StoredLayer[] =>
  layers.map((layer, index) => ({
    ...cacheShapes(layer),
    chunks:
      chunk === undefined
        ? undefined
        : chunksOfLayer({ attention: config.blocks[index]!.attention, chunks: { chunk, maxPositions } }),
  }));

const otherOriginal = (folder: FolderSource, original: Checkpoint, difference: string): ConverterError =>
  new ConverterError(
    "unsupported-model",
    `${folder.name} was not made of ${original.name} (${difference}); name the checkpoint that was folded`,
    { option: "original" },
  );

function requireLayers(folder: FolderSource, { layers }: FoldPlan, original: Checkpoint): void {
  const { blocks } = original.config;
  if (layers.length !== blocks.length)
    throw otherOriginal(folder, original, `${layers.length} layers and ${blocks.length}`);
}

/** Folds leave the embedding as it is, and store it in floats always: float16 rounds by 5e-4. */
const SAME = 1e-2;

async function requireSameTable(
  folder: FolderSource,
  original: Checkpoint,
  stored: Float32Array,
): Promise<void> {
  const { table } = await loadEmbedding(original);
  if (table.length !== stored.length)
    throw otherOriginal(folder, original, `embeddings of ${stored.length} and ${table.length} numbers`);
  let [difference, size] = [0, 0];
  for (let i = 0; i < table.length; i++) {
    difference += (table[i]! - stored[i]!) ** 2;
    size += table[i]! ** 2;
  }
  if (!(difference <= SAME ** 2 * size)) throw otherOriginal(folder, original, "their embeddings differ");
}
