import type { Family } from "./family.js";
import { llama } from "./llama.js";

// Their code has no switch for biases behind W_O or in the MLP.
const { biasOptions: _, ...base } = llama;

/** Mistral: Llama with a sliding window in some releases (7B v0.1: 4096 tokens; `null` in later ones). */
export const mistral: Family = {
  ...base,
  name: "Mistral",
  modelType: "mistral",
  slidingWindow: ({ sliding_window: window }) => (typeof window === "number" ? window : undefined),
};
