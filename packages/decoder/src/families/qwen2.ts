import type { Family } from "./family.js";
import { llama } from "./llama.js";

// Their code has no switch for biases behind W_O or in the MLP.
const { biasOptions: _, ...base } = llama;

/** Qwen2 and Qwen2.5: Llama with biases on the query, key and value projections (read where present). */
export const qwen2: Family = {
  ...base,
  name: "Qwen2",
  modelType: "qwen2",
  unsupported: ({ use_sliding_window: sliding }) =>
    sliding === true
      ? "use_sliding_window with layers of both kinds (set it to false to fold with full attention)"
      : undefined,
};
