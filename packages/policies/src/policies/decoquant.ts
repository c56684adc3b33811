import type { HeadView } from "../cache-view.js";
import { otherIndices } from "../kept-indices.js";
import type { HeadChange, Policy } from "../policy.js";
import { decoRound } from "../scores/deco-quant.js";

/**
 * Rounds keys and values to few bits, after a small factor has taken their outliers (DecoQuant, arXiv 2405.12591):
 * {@link decoRound}. What is cached are the rounded numbers as floats: the quality of so many bits, not their bytes. Each KV
 * head is a matrix of its own, since heads may keep different tokens; the authors' code takes all heads as one.
 */
export const decoquant = (bits: number, name = "decoquant"): Policy => ({
  name,
  action: "quantise",
  afterPrefill: ({ heads }) => heads.map((head) => roundHead(head, bits)),
});

function roundHead({ keys, values, tokens }: HeadView, bits: number): HeadChange | undefined {
  if (tokens === 0) return undefined;
  const rounded = (data: Float32Array) => {
    const width = data.length / tokens;
    return decoRound({ data, width, bits, block: blockOf(width) });
  };
  const kept = otherIndices(new Int32Array(0), tokens);
  const newKeys = rounded(keys);
  return { kept, keys: newKeys, ...(keys === values ? {} : { values: rounded(values) }) };
}

/** The largest divisor of a head's size up to the 16 channels of the paper. */
const blockOf = (width: number): number => (width % 16 === 0 ? 16 : blockBelow(width, 15));

const blockBelow = (width: number, block: number): number =>
  width % block === 0 ? block : blockBelow(width, block - 1);
