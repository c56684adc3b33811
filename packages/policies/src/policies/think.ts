import type { HeadView, LayerView } from "../cache-view.js";
import { keysOf, queriesOf } from "../head-attention.js";
import type { Policy } from "../policy.js";
import { thinkChannels } from "../scores/think.js";

export declare namespace think {
  interface Options {
    /** Last queries that judge the channels: 32 unless given. */
    readonly window?: number;
    /** Last keys that stay whole: 32 unless given, as the authors have it; NVIDIA/kvpress leaves none. */
    readonly recent?: number;
  }
}

/**
 * Clears the channels of keys that the last queries make least of (ThinK, arXiv 2407.21018): {@link thinkChannels}. Cleared
 * channels are zeros and take as many bytes as before.
 *
 * @param removed - Share of the channels of a key.
 */
export const think = (
  removed: number,
  { window = 32, recent = 32 }: think.Options = {},
  name = "think",
): Policy => ({
  name,
  action: "clear-channels",
  needs: { queries: window },
  afterPrefill: (layer) =>
    removed === 0
      ? undefined
      : layer.heads.map((head) => clearChannels(head, layer, { removed, window, recent, name })),
});

interface Clearing {
  readonly removed: number;
  readonly window: number;
  readonly recent: number;
  readonly name: string;
}

function clearChannels(head: HeadView, { seen }: LayerView, { removed, window, recent, name }: Clearing) {
  const { tokens, positions } = head;
  const keys = keysOf(head);
  const [kept] = thinkChannels({ keys, queries: queriesOf(head, window, name), removed });
  const isKept = new Uint8Array(keys.width);
  for (const channel of kept!) isKept[channel] = 1;
  const cleared = keys.data.map((value, at) =>
    isKept[at % keys.width] === 1 || positions[Math.floor(at / keys.width)]! >= seen - recent ? value : 0,
  );
  return { kept: Int32Array.from({ length: tokens }, (_, token) => token), keys: cleared };
}
