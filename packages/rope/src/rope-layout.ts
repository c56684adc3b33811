import { RopeError } from "./rope-error.js";

/**
 * Which two numbers of a head turn together, D = rotary dimension.
 *
 * - `half-split`: `(j, j + D/2)`, the `rotate_half` of Hugging Face's Llama, Qwen, Gemma, Phi, GPT-NeoX and most others.
 * - `interleaved`: `(2j, 2j + 1)`, as published: GPT-J, CodeGen, GLM, Cohere, the original LLaMA weights.
 */
export type RopeLayout = "half-split" | "interleaved";

/** Pair `j` of a head sits at `j * step` and `j * step + gap`. */
export interface PairStrides {
  readonly step: number;
  readonly gap: number;
}

const stridesByLayout: { readonly [K in RopeLayout]: (frequencies: number) => PairStrides } = {
  "half-split": (frequencies) => ({ step: 1, gap: frequencies }),
  interleaved: () => ({ step: 2, gap: 1 }),
};

/** Where a layout puts the pairs of `frequencies` frequencies. */
export function pairStrides(layout: RopeLayout, frequencies: number): PairStrides {
  if (!Object.hasOwn(stridesByLayout, layout)) {
    throw new RopeError(
      "invalid-argument",
      `expected layout to be "half-split" or "interleaved", found ${String(layout)}`,
    );
  }
  return stridesByLayout[layout](frequencies);
}
