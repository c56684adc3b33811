import { type CacheLayout, cacheBytesPerToken, type DecodingState } from "@kvfold/runtime";

/** Bytes of the tokens that a state's cache holds. Where heads hold different tokens, each counts with its own. */
export function heldBytes(layout: CacheLayout, { length, heldTokens }: HeldTokens): number {
  if (heldTokens.length === 0) return length * cacheBytesPerToken(layout);
  const { layers } = layout;
  return layers.reduce((sum, layer, index) => {
    const bytesPerToken = cacheBytesPerToken({ ...layout, layers: [layer] });
    return sum + mean(heldTokens[index]!) * bytesPerToken;
  }, 0);
}

type HeldTokens = Pick<DecodingState, "length" | "heldTokens">;

const mean = (numbers: readonly number[]): number =>
  numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
