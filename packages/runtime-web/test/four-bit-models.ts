import { openFirstLayers } from "../../converter/test/support/assets.js";
import { type Folded, foldInMemory } from "../../converter/test/support/fold-in-memory.js";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";

export const FOUR_BIT_FILE = "model_q4.onnx";

const options = { keep: "1/2", method: "svd-w", dtypes: ["q4"] } as const;

/** Folds that four bits are tested on, each with a prompt. */
export const fourBitModels = [
  { name: "prose-6m", open: () => openFirstLayers("prose-6m", 2), prompt: [11, 200, 3000, 42, 7, 99] },
  {
    name: "prose-bloom-6m",
    open: () => openFirstLayers("prose-bloom-6m", 2),
    prompt: [11, 200, 3000, 42, 7, 99],
  },
  {
    // Its last projection has 56 inputs: a block of 32, and one that is not full.
    name: "a Llama with rows that end in a part of a block",
    open: () => syntheticCheckpoint({ config: tinyLlama }),
    prompt: [11, 20, 30, 42, 7, 9],
  },
] as const;

export type FourBitModel = (typeof fourBitModels)[number];

export const foldToFourBits = async ({ open }: FourBitModel): Promise<Folded> =>
  foldInMemory(await open(), options);
